// Binds async handlers to a gRPC service. Every call passes here: it is authorized, named, logged in one line, its
// errors translated, its cancellation turned into an AbortSignal, its stream paced.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import { REQUEST_ID_KEY } from "@sallyport/contracts";
import { AppError, isAppError, toGrpcStatus } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { Authenticate, Principal } from "./principals.ts";
import { authorize } from "./principals.ts";

/** What a handler knows of its call. */
export interface CallContext {
  readonly principal: Principal;
  readonly requestId: string;
  /** Aborted when the caller cancels, disconnects or its deadline passes. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  // A method shorthand on purpose: its parameters are compared loosely, so every generated definition fits.
  requestSerialize(value: never): Buffer;
  requestDeserialize(value: Buffer): unknown;
  responseSerialize(value: never): Buffer;
  responseDeserialize(value: Buffer): unknown;
}
type Request<M extends Method> = ReturnType<M["requestDeserialize"]>;
type Response<M extends Method> = ReturnType<M["responseDeserialize"]>;

/** One async function for each method: unary methods return a promise, server-streaming ones an async iterable. */
export type Handlers<Definition extends Record<string, Method>> = {
  readonly [Name in keyof Definition]: Definition[Name]["responseStream"] extends true
    ? (request: Request<Definition[Name]>, context: CallContext) => AsyncIterable<Response<Definition[Name]>>
    : (request: Request<Definition[Name]>, context: CallContext) => Promise<Response<Definition[Name]>>;
};

/** A service with its handlers, ready for a server whose listener knows how callers prove themselves. */
export interface BoundService {
  readonly definition: Record<string, Method>;
  bind(authenticate: Authenticate, logger: Logger): UntypedServiceImplementation;
}

/** Ties a generated service definition to its handlers. */
export function bindService<Definition extends Record<string, Method>>(
  definition: Definition,
  handlers: Handlers<Definition>,
): BoundService {
  return {
    definition,
    bind(authenticate, logger) {
      const implementation: UntypedServiceImplementation = {};
      for (const [name, method] of Object.entries(definition)) {
        const handler = handlers[name] as (request: unknown, context: CallContext) => unknown;
        implementation[name] = method.responseStream
          ? streaming(method.path, handler as StreamHandler, authenticate, logger)
          : unary(method.path, handler as UnaryHandler, authenticate, logger);
      }
      return implementation;
    },
  };
}

type UnaryHandler = (request: unknown, context: CallContext) => Promise<unknown>;
type StreamHandler = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

function unary(path: string, handler: UnaryHandler, authenticate: Authenticate, logger: Logger) {
  const handle: handleUnaryCall<unknown, unknown> = (call, callback) => {
    const entry = openCall(path, call, logger);
    entry
      .context(authenticate)
      .then((context) => handler(call.request, context))
      .then(
        (response) => {
          entry.close(undefined);
          callback(null, response);
        },
        (error: unknown) => {
          entry.close(error);
          callback(toGrpcStatus(error, entry.requestId));
        },
      );
  };
  return handle;
}

function streaming(path: string, handler: StreamHandler, authenticate: Authenticate, logger: Logger) {
  const handle: handleServerStreamingCall<unknown, unknown> = (call) => {
    const entry = openCall(path, call, logger);
    const pump = async () => {
      const context = await entry.context(authenticate);
      for await (const message of handler(call.request, context)) {
        if (context.signal.aborted) return;
        if (!call.write(message)) await once(call, "drain", { signal: context.signal });
      }
    };
    pump().then(
      () => {
        entry.close(undefined);
        call.end();
      },
      (error: unknown) => {
        entry.close(error);
        call.emit("error", toGrpcStatus(error, entry.requestId));
      },
    );
  };
  return handle;
}

function openCall(
  path: string,
  call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  parent: Logger,
) {
  const requestId = requestIdOf(call.metadata);
  const logger = parent.child({ requestId });
  const controller = new AbortController();
  const startedAt = performance.now();
  call.on("cancelled", () => controller.abort(new AppError("Cancelled", "the caller went away")));
  const headers = new Metadata();
  headers.set(REQUEST_ID_KEY, requestId);
  call.sendMetadata(headers);
  let caller: Principal | undefined;
  return {
    requestId,
    async context(authenticate: Authenticate): Promise<CallContext> {
      caller = await authorize(path, call.metadata, authenticate);
      return { principal: caller, requestId, signal: controller.signal, logger };
    },
    close(error: unknown): void {
      const fields = { path, caller: caller?.kind, ms: Math.round(performance.now() - startedAt) };
      if (error === undefined) logger.debug(fields, "call");
      else if (controller.signal.aborted) logger.debug({ ...fields, code: "Cancelled" }, "call");
      else if (isAppError(error)) logger.info({ ...fields, code: error.code, problem: error.message }, "call refused");
      else logger.error({ ...fields, code: "Internal", err: error }, "call failed");
    },
  };
}

/** The caller's own name for the call when it is a plain word, else a fresh one. */
function requestIdOf(metadata: Metadata): string {
  const given = metadata.get(REQUEST_ID_KEY)[0];
  return typeof given === "string" && /^[A-Za-z0-9_-]{8,64}$/.test(given) ? given : randomUUID();
}
