// Test program: asks as programs look names up, from connected sockets, which hear refusals and take answers only from
// the address that was asked.

import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { answerCalls } from "./child.ts";

/** `answered` where the same text came back, `timeout`, or the code of the failure. */
function udp(host: string, port: number, text: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => end("timeout"), timeoutMs);
    socket.once("message", (message) => end(message.toString() === text ? "answered" : "garbled"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "error"));
    socket.once("connect", () => socket.send(text));
    socket.connect(port, host);
  });
}

/** The same over TCP, with an end in order. */
function tcp(host: string, port: number, text: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end("timeout"), timeoutMs);
    let got = "";
    socket.on("data", (chunk: Buffer) => {
      got += chunk.toString();
      if (got === text) socket.end();
    });
    socket.once("end", () => end(got === text ? "answered" : "garbled"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "error"));
    socket.once("connect", () => socket.write(text));
  });
}

/** So many datagrams at once; how many came back before a silence of so long. */
function flood(host: string, port: number, count: number, silenceMs: number): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    let got = 0;
    const end = (): void => {
      socket.close();
      resolve(got);
    };
    let timer = setTimeout(end, silenceMs);
    socket.on("message", () => {
      got += 1;
      clearTimeout(timer);
      timer = setTimeout(end, silenceMs);
    });
    socket.once("connect", () => {
      for (let sent = 0; sent < count; sent += 1) socket.send("flood");
    });
    socket.connect(port, host);
  });
}

/** A socket that waits for what nobody asked for: its port, and what came. */
function listen(family: 4 | 6): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    socket.on("message", (message) => unasked.push(message.toString()));
    socket.bind(0, () => resolve(socket.address().port));
  });
}

const unasked: string[] = [];
answerCalls({ udp, tcp, flood, listen, unasked: () => unasked });
