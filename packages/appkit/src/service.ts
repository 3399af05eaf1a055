// Binds async handlers to a gRPC service. Every call passes here: it is authorized, named, logged in one line, its
// errors translated, its cancellation turned into an AbortSignal, its stream paced. Calls that come over HTTP enter by
// the same door, with the same bytes.
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
import { LOST_KEY, requestFault } from "@sallyport/contracts/json";
import type { Places } from "./call-places.ts";
import { AppError, isAppError, schemaRefusal, toGrpcStatus } from "./errors.ts";
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

/** A call that does not come over gRPC. */
export interface DirectCall {
  /** What proves the caller, as gRPC would carry it. */
  readonly metadata: Metadata;
  readonly authenticate: Authenticate;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Where the call takes a place. */
  readonly places: readonly Places[];
  /** The request's bytes; asked for once the caller is proven, so that a stranger's are not read. */
  request(): Promise<Uint8Array> | Uint8Array;
}

/** A service with its handlers, ready for a server whose listener knows how callers prove themselves. */
export interface BoundService {
  readonly definition: Record<string, Method>;
  bind(authenticate: Authenticate, logger: Logger, places?: readonly Places[]): UntypedServiceImplementation;
  /**
   * Calls the method of this path, as a gRPC caller would, and yields the bytes of its answers: one for a unary method.
   * Throws what the handler throws; leaving the loop ends the handler's.
   */
  call(path: string, call: DirectCall): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Ties a generated service definition to its handlers. */
export function bindService<Definition extends Record<string, Method>>(
  definition: Definition,
  handlers: Handlers<Definition>,
): BoundService {
  const methods = Object.entries<Method>(definition);
  return {
    // A request that cannot be read is answered as any bad one, by its handler's door; grpc-js would say Internal.
    definition: Object.fromEntries(
      methods.map(([name, method]) => [name, { ...method, requestDeserialize: (bytes) => decode(method, bytes) }]),
    ),
    bind(authenticate, logger, places = []) {
      const door: Door = { authenticate, logger, places };
      const implementation: UntypedServiceImplementation = {};
      for (const [name, method] of methods) {
        const handler = handlers[name] as (request: unknown, context: CallContext) => unknown;
        implementation[name] = method.responseStream
          ? streaming(method.path, handler as StreamHandler, door)
          : unary(method.path, handler as UnaryHandler, door);
      }
      return implementation;
    },
    call(path, call) {
      const [name, method] = methods.find(([, one]) => one.path === path) ?? [];
      if (name === undefined || method === undefined) throw new TypeError(`${path} is not of this service`);
      return direct(method, handlers[name] as UnaryHandler | StreamHandler, call);
    },
  };
}

/** A request that its method cannot read. */
class Unreadable {
  readonly refusal: AppError;

  constructor(refusal: AppError) {
    this.refusal = refusal;
  }
}

function decode(method: Method, bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fault = buffer.includes(LOST_KEY) ? requestFault(method.path, bytes) : undefined;
  if (fault !== undefined) return new Unreadable(schemaRefusal(fault));
  try {
    return method.requestDeserialize(buffer);
  } catch (error) {
    const found = requestFault(method.path, bytes);
    return new Unreadable(schemaRefusal(found ?? { field: undefined, reason: "the request cannot be read" }, error));
  }
}

function readable(request: unknown): unknown {
  if (request instanceof Unreadable) throw request.refusal;
  return request;
}

async function* direct(
  method: Method,
  handler: UnaryHandler | StreamHandler,
  call: DirectCall,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { path } = method;
  const entry = openEntry({ path, ...call, parent: call.logger });
  const serialize = (message: unknown) => method.responseSerialize(message as never);
  let ended: { readonly error: unknown } = { error: new AppError("Cancelled", "the caller went away") };
  try {
    const context = await entry.context(call.authenticate);
    const request = readable(decode(method, await call.request()));
    const answer = handler(request, context);
    if (Symbol.asyncIterator in answer) for await (const message of answer) yield serialize(message);
    else yield serialize(await answer);
    ended = { error: undefined };
  } catch (error) {
    ended = { error };
    throw error;
  } finally {
    entry.close(ended.error);
  }
}

type UnaryHandler = (request: unknown, context: CallContext) => Promise<unknown>;
type StreamHandler = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

/** What all calls that come in at one listener have in common. */
interface Door {
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly places: readonly Places[];
}

function unary(path: string, handler: UnaryHandler, door: Door) {
  const handle: handleUnaryCall<unknown, unknown> = (call, callback) => {
    const entry = openCall(path, call, door);
    entry
      .context(door.authenticate)
      .then((context) => handler(readable(call.request), context))
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

function streaming(path: string, handler: StreamHandler, door: Door) {
  const handle: handleServerStreamingCall<unknown, unknown> = (call) => {
    const entry = openCall(path, call, door);
    const pump = async () => {
      const context = await entry.context(door.authenticate);
      for await (const message of handler(readable(call.request), context)) {
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
  { logger: parent, places }: Door,
) {
  const requestId = requestIdOf(call.metadata.get(REQUEST_ID_KEY)[0]);
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort(new AppError("Cancelled", "the caller went away")));
  const headers = new Metadata();
  headers.set(REQUEST_ID_KEY, requestId);
  call.sendMetadata(headers);
  return openEntry({ path, metadata: call.metadata, requestId, signal: controller.signal, parent, places });
}

/** What is the same for every call, however it came. */
function openEntry(options: {
  readonly path: string;
  readonly metadata: Metadata;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly parent: Logger;
  readonly places: readonly Places[];
}) {
  const { path, metadata, places, requestId, signal } = options;
  const logger = options.parent.child({ requestId });
  const startedAt = performance.now();
  let caller: Principal | undefined;
  const leaves: (() => void)[] = [];
  return {
    requestId,
    async context(authenticate: Authenticate): Promise<CallContext> {
      caller = await authorize(path, metadata, authenticate);
      for (const one of places) leaves.push(one.enter(caller));
      return { principal: caller, requestId, signal, logger };
    },
    close(error: unknown): void {
      for (const leave of leaves.splice(0)) leave();
      const fields = { path, caller: caller?.kind, ms: Math.round(performance.now() - startedAt) };
      if (error === undefined) logger.debug(fields, "call");
      else if (signal.aborted) logger.debug({ ...fields, code: "Cancelled" }, "call");
      else if (isAppError(error)) logger.info({ ...fields, code: error.code, problem: error.message }, "call refused");
      else logger.error({ ...fields, code: "Internal", err: error }, "call failed");
    },
  };
}

/** The caller's own name for the call when it is a plain word, else a fresh one. */
export function requestIdOf(given: unknown): string {
  return typeof given === "string" && /^[A-Za-z0-9_-]{8,64}$/.test(given) ? given : randomUUID();
}
