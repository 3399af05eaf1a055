// Forward: one connection of a caller to a port of its sandbox, opened as every connection is: bytes both ways with
// back-pressure, halves that end for themselves, resets that arrive as resets.
import { once } from "node:events";
import type { Socket } from "node:net";
import { finished } from "node:stream/promises";
import { AppError, invalidArgument, isAppError } from "@sallyport/appkit/errors";
import type { CallContext, Handlers } from "@sallyport/appkit/service";
import type { ErrorCode, ForwardRequest, ForwardResponse } from "@sallyport/contracts";
import { INIT_PORT, MAX_CHUNK_BYTES } from "@sallyport/contracts";
import type { SandboxIOService } from "@sallyport/contracts/grpc";
import type { ConnectStatus } from "@sallyport/dataplane";
import type { Instances } from "./instances.ts";
import { FORWARD_PORT_MS, MAX_FORWARDS_PER_INSTANCE } from "./limits.ts";
import type { Opener } from "./open.ts";
import { OpenRefused } from "./open.ts";
import { mustBeWithin } from "./validate.ts";

type ForwardHandler = Handlers<typeof SandboxIOService>["forward"];

/** The handler of SandboxIO's Forward. */
export function forwardHandler(instances: Instances, opener: Opener): ForwardHandler {
  const counts = new Map<string, number>();
  return async function* forward(requests, context) {
    const { principal, signal } = context;
    if (principal.kind !== "io_grant") throw new AppError("PermissionDenied", "SandboxIO is for its tokens");
    const { instanceId, sandboxId } = principal;
    const leave = enter(counts, instanceId);
    try {
      const messages = requests[Symbol.asyncIterator]();
      const port = await portOf(messages, signal);
      const socket = await opener.open({ sandboxId, instanceId, port, grantPort: port }, signal).catch(refusedAt(port));
      const connection = new Connection(socket, context, { instanceId, port });
      try {
        yield { event: { $case: "opened", value: {} } };
        yield* connection.carry(messages);
      } catch (error) {
        signal.throwIfAborted();
        if (isAppError(error)) throw error;
        if (instances.find(instanceId)?.detached !== false) throw new AppError("SandboxEnded", "the sandbox has ended");
        throw new AppError("Unavailable", "the sandbox reset the connection", { cause: error });
      } finally {
        connection.close();
      }
    } finally {
      leave();
    }
  };
}

/** Bytes between a call and a socket. */
class Connection {
  readonly #socket: Socket;
  readonly #context: CallContext;
  readonly #facts: object;
  readonly #startedAtMs = performance.now();
  /** What the caller sent may be a part of what it meant to send: no clean end may hide that. */
  readonly #cut = () => {
    // Once the half has ended all of it was there, and Node never closes a socket whose reset is refused, as it is then.
    if (this.#socket.writableEnded) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  };
  #inBytes = 0;
  #outBytes = 0;

  constructor(socket: Socket, context: CallContext, facts: object) {
    this.#socket = socket;
    this.#context = context;
    this.#facts = facts;
    context.signal.addEventListener("abort", this.#cut, { once: true });
    if (context.signal.aborted) this.#cut();
  }

  /** Yields what the sandbox sends and writes what the caller sends, until both halves have ended. Throws when it breaks. */
  async *carry(messages: AsyncIterator<ForwardRequest>): AsyncGenerator<ForwardResponse, void> {
    const socket = this.#socket;
    let refusal: unknown;
    this.#upload(messages).catch((error: unknown) => {
      refusal = error;
      this.#cut();
    });
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        const bytes = chunk as Buffer;
        this.#outBytes += bytes.length;
        for (let from = 0; from < bytes.length; from += MAX_CHUNK_BYTES) {
          yield { event: { $case: "data", value: bytes.subarray(from, from + MAX_CHUNK_BYTES) } };
        }
      }
      yield { event: { $case: "end", value: {} } };
      await finished(socket);
    } catch (error) {
      throw isAppError(refusal) ? refusal : error;
    }
  }

  close(): void {
    this.#context.signal.removeEventListener("abort", this.#cut);
    this.#socket.destroy();
    const ms = Math.round(performance.now() - this.#startedAtMs);
    const counts = { inBytes: this.#inBytes, outBytes: this.#outBytes, ms };
    this.#context.logger.info({ ...this.#facts, ...counts }, "forwarded connection");
  }

  async #upload(messages: AsyncIterator<ForwardRequest>): Promise<void> {
    for (;;) {
      const next = await messages.next();
      if (next.done === true) throw new AppError("Cancelled", "the caller went away");
      const { event } = next.value;
      if (event?.$case === "end") break;
      if (event?.$case !== "data") throw invalidArgument("data", "is all that may follow the port");
      const { value } = event;
      if (value.length > MAX_CHUNK_BYTES) throw invalidArgument("data", `is larger than ${MAX_CHUNK_BYTES} bytes`);
      this.#inBytes += value.length;
      await this.#write(value);
    }
    // All of it is the kernel's by now: whatever breaks later, no clean end hides a loss.
    this.#socket.end();
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  }
}

/** The port of the first message. A caller that says nothing is not waited for. */
async function portOf(messages: AsyncIterator<ForwardRequest>, signal: AbortSignal): Promise<number> {
  const late = AbortSignal.timeout(FORWARD_PORT_MS);
  const over = once(AbortSignal.any([signal, late]), "abort").then(() => undefined);
  const first = await Promise.race([messages.next(), over]);
  signal.throwIfAborted();
  if (first === undefined) throw invalidArgument("port", "did not come in time");
  const event = first.done === true ? undefined : first.value.event;
  if (event?.$case !== "port") throw invalidArgument("port", "must be in the first message");
  const port = mustBeWithin("port", event.value, 1, 65_535);
  if (port === INIT_PORT) throw new AppError("PermissionDenied", "the port is the platform's own", { field: "port" });
  return port;
}

/** One of the connections that an instance may have forwarded at the same time. */
function enter(counts: Map<string, number>, instanceId: string): () => void {
  const count = counts.get(instanceId) ?? 0;
  if (count >= MAX_FORWARDS_PER_INSTANCE) {
    throw new AppError(
      "ResourceExhausted",
      `${count} connections to this sandbox are forwarded, the most there may be`,
    );
  }
  counts.set(instanceId, count + 1);
  return () => {
    const left = (counts.get(instanceId) ?? 0) - 1;
    if (left > 0) counts.set(instanceId, left);
    else counts.delete(instanceId);
  };
}

const CODES: Readonly<Record<Exclude<ConnectStatus, 200>, ErrorCode>> = {
  400: "InvalidArgument",
  403: "PermissionDenied",
  404: "NotFound",
  410: "SandboxEnded",
  502: "FailedPrecondition",
  503: "Unavailable",
};

/** The opener's refusals, as callers of SandboxIO know them. */
function refusedAt(port: number): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof OpenRefused)) throw error;
    const { message, status } = error;
    if (status !== 502) throw new AppError(CODES[status], message);
    throw new AppError(CODES[status], `port: nothing listens on ${port}`, {
      field: "port",
      hint: "a server in the sandbox must listen on all its addresses (0.0.0.0 or ::), not on 127.0.0.1 alone",
    });
  };
}
