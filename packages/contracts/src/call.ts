// gRPC calls as promises and async iterables, cancelled by an AbortSignal. Used by every client of ours, SDK included.
import type { CallOptions, Client, ClientReadableStream, ClientUnaryCall, ServiceError } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";

/** What every call takes. */
export interface GrpcCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Deadline of the call, in milliseconds from now. */
  readonly timeoutMs?: number | undefined;
  readonly metadata?: Metadata | undefined;
  /** Told once the server has taken up the call: its headers are here. */
  readonly onHeaders?: (() => void) | undefined;
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

type StreamMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
) => ClientReadableStream<Response>;

/**
 * Calls a unary method of a stub: `callUnary(client, client.getSandbox, request, options)`.
 * Rejects with grpc-js's ServiceError, or with the signal's reason when it was aborted.
 */
export function callUnary<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: GrpcCallOptions = {},
): Promise<Response> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(asError(signal.reason));
      return;
    }
    const cancel = () => call.cancel();
    const call = method.call(client, request, metadataOf(options), callOptions(options), (error, response) => {
      signal?.removeEventListener("abort", cancel);
      if (error === null) resolve(response);
      else reject(signal?.aborted ? asError(signal.reason) : error);
    });
    if (options.onHeaders !== undefined) call.on("metadata", options.onHeaders);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

/**
 * Calls a server-streaming method of a stub and yields its messages, with back-pressure. Leaving the loop cancels the
 * call. Throws as {@link callUnary} rejects.
 */
export async function* callServerStream<Request, Response>(
  client: Client,
  method: StreamMethod<Request, Response>,
  request: Request,
  options: GrpcCallOptions = {},
): AsyncGenerator<Response, void, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const stream = method.call(client, request, metadataOf(options), callOptions(options));
  if (options.onHeaders !== undefined) stream.on("metadata", options.onHeaders);
  const cancel = () => stream.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of stream) yield message as Response;
  } catch (error) {
    throw signal?.aborted ? asError(signal.reason) : error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    // The iterator destroys the stream, and grpc-js then reports the cancellation as an error that nobody awaits.
    stream.on("error", ignoreAfterEnd);
    stream.cancel();
  }
}

function ignoreAfterEnd(): void {
  // The caller has left the loop: there is nobody to tell.
}

function metadataOf(options: GrpcCallOptions): Metadata {
  return options.metadata ?? new Metadata();
}

function callOptions(options: GrpcCallOptions): Partial<CallOptions> {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}
