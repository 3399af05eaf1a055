// One forwarded connection: a call of SandboxIO's Forward on one side, a socket of this machine on the other. Bytes both ways
// with back-pressure, halves that end for themselves, resets that arrive as resets.
import { once } from "node:events";
import type { Socket } from "node:net";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { ForwardRequest, ForwardResponse } from "@sallyport/contracts";
import type { GrpcCallOptions, SandboxIOClient } from "@sallyport/contracts/grpc";
import { sdkError } from "./errors.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";
import { readFailure } from "./translate.ts";

/** A connection that stands. */
export interface ForwardCall {
  readonly call: ClientDuplexStream<ForwardRequest, ForwardResponse>;
  readonly answers: AsyncIterator<ForwardResponse>;
}

/** Opens a connection, through outages. Throws FailedPrecondition with field `port` while nothing listens there. */
export function openForward(io: SandboxIo, scope: Scope, port: number): Promise<ForwardCall> {
  return io.call(scope, (stub, options) => openCall(stub, options, port));
}

async function openCall(stub: SandboxIOClient, options: GrpcCallOptions, port: number): Promise<ForwardCall> {
  const { metadata = new Metadata(), onHeaders, signal, timeoutMs } = options;
  const call = stub.forward(metadata);
  call.on("error", ignoreBecauseReadersAreTold);
  if (onHeaders !== undefined) call.on("metadata", onHeaders);
  const cancel = () => call.cancel();
  // A deadline of gRPC's would end the connection, too.
  const timer = timeoutMs === undefined ? undefined : setTimeout(cancel, timeoutMs);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted === true) cancel();
  try {
    call.write({ event: { $case: "port", value: port } });
    const answers = call.iterator({ destroyOnReturn: false }) as AsyncIterator<ForwardResponse>;
    const first = await answers.next();
    if (first.done !== true && first.value.event?.$case === "opened") return { call, answers };
    throw sdkError("Internal", "the gateway answered out of turn");
  } catch (error) {
    cancel();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * Carries bytes until both halves have ended, or whoever holds the socket resets it. Rejects, with the socket reset, when the
 * sandbox's side or the call breaks, or the scope is over.
 */
export async function carry({ answers, call }: ForwardCall, socket: Socket, scope: Scope): Promise<void> {
  const over = new AbortController();
  const cancel = () => call.cancel();
  let isLeft = false;
  socket.once("error", () => {
    isLeft = true;
    cancel();
  });
  scope.signal.addEventListener("abort", cancel, { once: true });
  try {
    scope.throwIfOver();
    upload(call, socket, over.signal).catch(cancel);
    await download(answers, socket);
  } catch (error) {
    cancel();
    resetSocket(socket);
    if (!isLeft) throw readFailure(error, scope).error;
  } finally {
    over.abort();
    scope.signal.removeEventListener("abort", cancel);
  }
}

async function upload(call: ForwardCall["call"], socket: Socket, over: AbortSignal): Promise<void> {
  const send = async (event: ForwardRequest["event"]) => {
    if (!call.write({ event })) await once(call, "drain", { signal: over });
  };
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    await send({ $case: "data", value: chunk as Buffer });
  }
  await send({ $case: "end", value: {} });
  call.end();
}

async function download(answers: AsyncIterator<ForwardResponse>, socket: Socket): Promise<void> {
  let ended = false;
  for (let next = await answers.next(); next.done !== true; next = await answers.next()) {
    const { event } = next.value;
    if (event?.$case === "data") await write(socket, event.value);
    if (event?.$case === "end") {
      ended = true;
      socket.end();
    }
  }
  if (!ended) throw sdkError("Unavailable", "the gateway ended the connection early");
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve()));
  });
}

/** A part shall not look like the whole: the socket is reset, but where its half has ended before. */
export function resetSocket(socket: Socket): void {
  // Node never closes a socket whose reset the kernel refuses, as it does then.
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function ignoreBecauseReadersAreTold(): void {
  // The iterator throws the same error.
}
