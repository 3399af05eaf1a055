// Binds async handlers to a gRPC service. Every call passes here: its caller is proven and it is logged (call-entry.ts),
// its errors are translated, its streams paced. Calls that come over HTTP enter by the same door, with the same bytes.
import { once } from "node:events";
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerDuplexStream,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { LOST_KEY, requestFault } from "@sallyport/contracts/json";
import type { CallContext, Door } from "./call-entry.ts";
import { openCall, openEntry } from "./call-entry.ts";
import type { Places } from "./call-places.ts";
import { AppError, schemaRefusal, toGrpcStatus } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { Authenticate } from "./principals.ts";

export type { CallContext } from "./call-entry.ts";

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

/**
 * One async function for each method: unary methods return a promise, server-streaming ones an async iterable. One that streams
 * both ways takes an async iterable too, which ends as the caller ends its half and throws where the call breaks off.
 */
export type Handlers<Definition extends Record<string, Method>> = {
  readonly [Name in keyof Definition]: Handler<Definition[Name]>;
};
type Handler<M extends Method> = M["responseStream"] extends true
  ? (
      request: M["requestStream"] extends true ? AsyncIterable<Request<M>> : Request<M>,
      context: CallContext,
    ) => AsyncIterable<Response<M>>
  : M["requestStream"] extends true
    ? never // no service of ours has one
    : (request: Request<M>, context: CallContext) => Promise<Response<M>>;

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
        implementation[name] = binding(method)(method.path, handler as UnaryHandler & StreamHandler, door);
      }
      return implementation;
    },
    call(path, call) {
      const [name, method] = methods.find(([, one]) => one.path === path) ?? [];
      if (name === undefined || method === undefined) throw new TypeError(`${path} is not of this service`);
      if (method.requestStream) throw new TypeError(`${path} takes a stream`);
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

function binding({ requestStream, responseStream }: Method) {
  if (!responseStream) return unary;
  return requestStream ? duplex : streaming;
}

type UnaryHandler = (request: unknown, context: CallContext) => Promise<unknown>;
type StreamHandler = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

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
    answerInStream(path, call, door, (context) => handler(readable(call.request), context));
  };
  return handle;
}

function duplex(path: string, handler: StreamHandler, door: Door) {
  const handle: handleBidiStreamingCall<unknown, unknown> = (call) => {
    answerInStream(path, call, door, (context) => handler(requestsOf(call), context));
  };
  return handle;
}

/** Answers with what the handler yields, as fast as the caller reads. */
function answerInStream(
  path: string,
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  door: Door,
  answers: (context: CallContext) => AsyncIterable<unknown>,
): void {
  const entry = openCall(path, call, door);
  const pump = async () => {
    const context = await entry.context(door.authenticate);
    for await (const message of answers(context)) {
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
}

/** What the caller sends, as fast as it is taken. Leaving the loop leaves the call as it is: the handler may still answer. */
async function* requestsOf(call: ServerDuplexStream<unknown, unknown>): AsyncGenerator<unknown, void, undefined> {
  for await (const message of call.iterator({ destroyOnReturn: false })) yield readable(message);
}
