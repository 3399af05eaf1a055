// How a call enters, however it came: it is named, its caller is proven and takes places, its cancellation becomes an
// AbortSignal, and its end is logged in one line.
import { randomUUID } from "node:crypto";
import { Metadata } from "@grpc/grpc-js";
import { REQUEST_ID_KEY } from "@sallyport/contracts";
import type { Places } from "./call-places.ts";
import { AppError, isAppError } from "./errors.ts";
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

/** What all calls that come in at one listener have in common. */
export interface Door {
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly places: readonly Places[];
}

/** A call that has come in. */
export interface CallEntry {
  readonly requestId: string;
  /** Proves the caller and takes its places. Throws Unauthenticated, PermissionDenied, ResourceExhausted. */
  context(authenticate: Authenticate): Promise<CallContext>;
  /** Leaves the places and logs how it ended: undefined is well. */
  close(error: unknown): void;
}

/** A call of gRPC of any shape. */
interface GrpcCall {
  readonly metadata: Metadata;
  sendMetadata(headers: Metadata): void;
  on(event: "cancelled", listener: () => void): unknown;
}

/** Takes a call of gRPC up: its headers are sent, and its cancellation aborts the signal. */
export function openCall(path: string, call: GrpcCall, { logger: parent, places }: Door): CallEntry {
  const requestId = requestIdOf(call.metadata.get(REQUEST_ID_KEY)[0]);
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort(new AppError("Cancelled", "the caller went away")));
  const headers = new Metadata();
  headers.set(REQUEST_ID_KEY, requestId);
  call.sendMetadata(headers);
  return openEntry({ path, metadata: call.metadata, requestId, signal: controller.signal, parent, places });
}

/** What is the same for every call, however it came. */
export function openEntry(options: {
  readonly path: string;
  readonly metadata: Metadata;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly parent: Logger;
  readonly places: readonly Places[];
}): CallEntry {
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
