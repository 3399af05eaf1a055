// One question to one server: a socket of its own, an id that nobody can know, and no answer from anywhere else.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { encodeQuery } from "../message/encode.ts";
import { answers, parseResponse, type Question, type Response } from "../message/response.ts";
import { MessageError } from "../message/wire.ts";
import type { Server } from "./servers.ts";

export interface ExchangeOptions {
  readonly server: Server;
  readonly question: Question;
  readonly edns: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** No usable answer came from that server. */
export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
  /** `timeout`: it may be slow, or the zone's servers are. `failed`: it cannot be reached, or talks nonsense. */
  readonly reason: "timeout" | "failed";

  constructor(reason: "timeout" | "failed", message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/**
 * Over UDP. The kernel chooses the port at random, and a connected socket takes nothing from other addresses; what has
 * the wrong id or question is passed over. Throws ExchangeError, or the signal's reason.
 */
export function exchangeUdp(options: ExchangeOptions): Promise<Response> {
  const { server, question, edns } = options;
  const id = randomInt(0x10000);
  return settle(options, (resolve, reject) => {
    const socket = createSocket(server.address.includes(":") ? "udp6" : "udp4");
    socket.on("error", (error) => reject(new ExchangeError("failed", "the server cannot be reached", error)));
    socket.on("message", (message) => {
      if (answers(message, id, question)) parse(message, question, resolve, reject);
    });
    socket.once("connect", () => socket.send(encodeQuery(id, question, edns)));
    socket.connect(server.port, server.address);
    return () => socket.close();
  });
}

/** Over TCP, for answers that are too long otherwise. */
export function exchangeTcp(options: ExchangeOptions): Promise<Response> {
  const { server, question, edns } = options;
  const id = randomInt(0x10000);
  return settle(options, (resolve, reject) => {
    const socket = connect({ host: server.address, port: server.port });
    let received: Buffer = Buffer.alloc(0);
    const failed = (message: string, cause?: unknown) => reject(new ExchangeError("failed", message, cause));
    socket.on("error", (error) => failed("the server cannot be reached", error));
    socket.on("end", () => failed("the server ended the connection before its answer"));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const message = received.subarray(2, 2 + received.readUInt16BE(0));
      if (!answers(message, id, question)) {
        failed("the server answered something else");
        return;
      }
      const whole = (response: Response) =>
        response.truncated ? failed("the server cut off its answer") : resolve(response);
      parse(message, question, whole, reject);
    });
    const query = encodeQuery(id, question, edns);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    return () => socket.destroy();
  });
}

function parse(
  message: Uint8Array,
  question: Question,
  resolve: (response: Response) => void,
  reject: (error: Error) => void,
): void {
  try {
    resolve(parseResponse(message, question));
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    reject(new ExchangeError("failed", `the server's answer: ${error.message}`, error));
  }
}

/** One outcome, then the socket is closed, whatever else happens. `open` gives what closes it. */
function settle(
  { timeoutMs, signal }: ExchangeOptions,
  open: (resolve: (response: Response) => void, reject: (error: Error) => void) => () => void,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = (outcome: () => void): void => {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      signal.removeEventListener("abort", onAbort);
      close();
      outcome();
    };
    const onAbort = (): void => {
      const reason: unknown = signal.reason;
      end(() => reject(reason instanceof Error ? reason : new Error("aborted", { cause: reason })));
    };
    let timer: NodeJS.Timeout | undefined = setTimeout(
      () => end(() => reject(new ExchangeError("timeout", `no answer within ${timeoutMs} ms`))),
      timeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    const close = open(
      (response) => end(() => resolve(response)),
      (error) => end(() => reject(error)),
    );
  });
}
