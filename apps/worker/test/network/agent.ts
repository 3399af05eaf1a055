// Test program: plain TCP and UDP peers in whatever namespace and as whatever user it is started.
// Arguments: user id to become, or nothing.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { answerCalls } from "./child.ts";

const received: string[] = [];
const held = new Map<number, { readonly socket: Socket; got: string; ended: string }>();
const accepted = new Set<Socket>();
let lastHeld = 0;

/** Echoes TCP and UDP on one port of every address of both families; keeps what UDP brought. */
async function serve(): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("close", () => accepted.delete(socket));
    accepted.add(socket);
    socket.pipe(socket);
  });
  server.listen(0, "::");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  // One socket per address: a wildcard one would answer from whichever address the kernel prefers.
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  for (const { address: own, family } of all.filter((entry) => !entry.address.startsWith("fe80:"))) {
    const udp = createSocket(family === "IPv6" ? "udp6" : "udp4");
    udp.on("message", (message, peer) => {
      received.push(message.toString());
      udp.send(message, peer.port, peer.address);
    });
    udp.bind(port, own);
    await once(udp, "listening");
  }
  return port;
}

/** `open`, or the code of the failure; `timeout` where nobody answered. */
function tcp(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: string): void => {
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end("timeout"), timeoutMs);
    socket.once("connect", () => {
      clearTimeout(timer);
      end("open");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      end(error.code ?? "error");
    });
  });
}

/** `open` where the echo came back; the code of the failure where somebody said no. */
function udp(host: string, port: number, text: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => end("timeout"), timeoutMs);
    socket.once("message", () => end("open"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "error"));
    // Only a connected socket hears of errors.
    socket.connect(port, host, () => {
      socket.send(text, (error) => {
        if (error !== null) end((error as NodeJS.ErrnoException).code ?? "error");
      });
    });
  });
}

/** A connection that stays; its number is for `echo` and `heard`. */
async function hold(host: string, port: number): Promise<number> {
  const socket = connect({ host, port });
  await once(socket, "connect");
  const entry = { socket, got: "", ended: "" };
  socket.on("error", (error: NodeJS.ErrnoException) => {
    entry.ended = error.code ?? "error";
    socket.destroy();
  });
  socket.on("data", (chunk: Buffer) => {
    entry.got += chunk.toString();
    socket.emit("grown");
  });
  lastHeld += 1;
  held.set(lastHeld, entry);
  return lastHeld;
}

/** Sends over a held connection; whether the same text came back in time. */
function echo(number: number, text: string, timeoutMs: number): Promise<boolean> {
  held.get(number)?.socket.write(text);
  return heard(number, text, timeoutMs);
}

/** Whether a held connection has brought this text, or does so in time. */
function heard(number: number, text: string, timeoutMs: number): Promise<boolean> {
  const entry = held.get(number);
  return new Promise((resolve) => {
    const end = (came: boolean): void => {
      clearTimeout(timer);
      entry?.socket.off("grown", look);
      resolve(came);
    };
    const look = (): void => {
      if (entry?.got.includes(text) === true) end(true);
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    entry?.socket.on("grown", look);
    look();
  });
}

/** How a held connection ended: the code of the failure, or nothing while it lives. */
function ended(number: number): string {
  return held.get(number)?.ended ?? "";
}

/** Sends so many datagrams to ports that are so far apart, from the first on. */
async function burst(host: string, firstPort: number, count: number, step: number): Promise<void> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  // Answers to what was denied come as errors of later ones.
  socket.on("error", () => undefined);
  for (let n = 0; n < count; n += 1) {
    await new Promise<void>((resolve) => socket.send("burst", firstPort + n * step, host, () => resolve()));
  }
  socket.close();
}

/** Writes to every connection that was accepted and is still open; answers how many. */
function push(text: string): number {
  for (const socket of accepted) socket.write(text);
  return accepted.size;
}

const uid = process.argv[2];
if (uid !== undefined) {
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
answerCalls({ serve, tcp, udp, hold, echo, heard, ended, burst, push, received: () => received });
