// Look-ups over TCP (RFC 7766): messages after their lengths, several at once, answered as their answers come.

import type { Server, Socket } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import type { Resolver } from "./resolver.ts";

export interface TcpLimits {
  /** Connections of one asker. */
  readonly perClient: number;
  /** In all, of this listener. */
  readonly total: number;
  /** A connection that has asked nothing whole for so long is closed. */
  readonly idleMs: number;
}

/** Longest query; one that claims more ends its connection. */
const MAX_QUERY_BYTES = 4_096;
/** Queries of one connection under way; beyond, it is not read from. */
const MAX_AT_ONCE = 16;
/** Answers that the other side leaves unread. */
const MAX_UNREAD_BYTES = 256 * 1024;

/** Answers at one listener until disposal, which closes it and all of its connections. */
export function serveTcp(listener: Server, resolver: Resolver, limits: TcpLimits, logger: Logger): AsyncDisposable {
  const connections = new Map<Socket, string>();
  listener.on("connection", (socket) => {
    const client = socket.remoteAddress;
    const ofClient = [...connections.values()].filter((one) => one === client).length;
    if (client === undefined || connections.size >= limits.total || ofClient >= limits.perClient) {
      socket.destroy();
      return;
    }
    connections.set(socket, client);
    socket.once("close", () => connections.delete(socket));
    serveConnection(socket, client, resolver, limits.idleMs);
  });
  listener.on("error", (error) => logger.warn({ err: error }, "listener of look-ups"));
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const socket of connections.keys()) socket.destroy();
      await closed;
    },
  };
}

function serveConnection(socket: Socket, client: string, resolver: Resolver, idleMs: number): void {
  let received: Buffer = Buffer.alloc(0);
  let running = 0;
  let ended = false;
  // Not the socket's own time-out: bytes that never make a query would put that off.
  const idle = setTimeout(() => socket.destroy(), idleMs);
  const finish = (): void => {
    if (ended && running === 0) socket.end();
  };
  const take = (): void => {
    while (received.length >= 2 && running < MAX_AT_ONCE) {
      const length = received.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (received.length < 2 + length) break;
      const message = received.subarray(2, 2 + length);
      received = received.subarray(2 + length);
      running += 1;
      idle.refresh();
      void resolver.answer(message, client, "tcp").then((answer) => {
        running -= 1;
        if (socket.destroyed) return;
        if (answer === undefined || socket.writableLength > MAX_UNREAD_BYTES) {
          socket.destroy();
          return;
        }
        send(socket, answer);
        take();
        finish();
      });
    }
    if (running < MAX_AT_ONCE) socket.resume();
    else socket.pause();
  };
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    take();
  });
  socket.on("end", () => {
    ended = true;
    finish();
  });
  socket.on("error", () => socket.destroy());
  socket.once("close", () => clearTimeout(idle));
}

function send(socket: Socket, answer: Buffer): void {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(answer.length);
  socket.write(Buffer.concat([length, answer]));
}
