// The client of the gateway's socket: asks for a port of a sandbox and gives its bytes as a stream.
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectRequest, ConnectStatus } from "./connect-request.ts";
import { formatConnectRequest, MAX_CONNECT_HEAD_BYTES, parseConnectAnswer } from "./connect-request.ts";
import { Deadline } from "./deadline.ts";
import { readHead } from "./read-head.ts";

/** Why a port could not be opened. */
export type OpenErrorCode =
  /** The request was out of shape. */
  | "BadRequest"
  /** The port is neither declared nor named by the grant. */
  | "NotGranted"
  /** There is no such sandbox instance. */
  | "NotFound"
  /** The sandbox has ended. */
  | "Ended"
  /** Nothing listens on the port. */
  | "NothingListens"
  /** The sandbox is not ready, or at its limit of connections: later it may be. */
  | "NotReady"
  /** No gateway answers at the socket, or not in its language. */
  | "GatewayUnavailable"
  /** No answer in time. */
  | "Timeout";

const CODES: Readonly<Record<Exclude<ConnectStatus, 200>, OpenErrorCode>> = {
  400: "BadRequest",
  403: "NotGranted",
  404: "NotFound",
  410: "Ended",
  502: "NothingListens",
  503: "NotReady",
};

const MESSAGES: Readonly<Record<OpenErrorCode, string>> = {
  BadRequest: "the gateway did not understand the request",
  NotGranted: "the port is not granted",
  NotFound: "there is no such sandbox instance",
  Ended: "the sandbox has ended",
  NothingListens: "nothing listens on the port",
  NotReady: "the sandbox is not ready",
  GatewayUnavailable: "the gateway does not answer",
  Timeout: "the gateway did not answer in time",
};

/** A port could not be opened; `code` says why. */
export class OpenError extends Error {
  readonly code: OpenErrorCode;

  constructor(code: OpenErrorCode, options?: { cause?: unknown }) {
    super(MESSAGES[code], options);
    this.name = "OpenError";
    this.code = code;
  }
}

/** What the gateway's refusal means. */
export function refusalOf(status: Exclude<ConnectStatus, 200>): OpenError {
  return new OpenError(CODES[status]);
}

/** For the whole opening, where nothing else is said. */
export const OPEN_MS = 15_000;

export interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole opening. 15,000 ms when unset. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Opens a port of a sandbox through the gateway whose socket is at this path. The stream is paused, and its half-ends
 * are the sandbox's: `end()` closes our half only. Rejects with {@link OpenError}, or the signal's reason.
 */
export async function openPort(socketPath: string, target: ConnectRequest, options: OpenOptions = {}): Promise<Duplex> {
  options.signal?.throwIfAborted();
  using deadline = new Deadline(options.timeoutMs ?? OPEN_MS, options.signal);
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  let cause: unknown;
  socket.on("error", (error) => {
    cause = error;
  });
  try {
    socket.write(formatConnectRequest(target));
    const head = await readHead(socket, MAX_CONNECT_HEAD_BYTES, deadline.signal);
    const status = parseConnectAnswer(head ?? "");
    if (status === undefined) throw new OpenError("GatewayUnavailable", { cause });
    if (status !== 200) throw refusalOf(status);
    return socket;
  } catch (error) {
    socket.destroy();
    options.signal?.throwIfAborted();
    throw error instanceof OpenError ? error : new OpenError("Timeout", { cause: error });
  }
}
