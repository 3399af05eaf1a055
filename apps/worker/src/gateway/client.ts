// The worker's side of GatewayControlService, over the gateway's Unix socket. Whenever the gateway can be reached anew,
// whoever owns instances is told, and attaches them again: a gateway remembers nothing.
import { credentials } from "@grpc/grpc-js";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { keepTrying } from "@sallyport/appkit/retry";
import { callServerStream, callUnary, GatewayControlServiceClient } from "@sallyport/contracts/grpc";
import type { InstanceOutcome } from "../instance/record.ts";
import { entrypointOutcome, initFailureWords } from "./convert.ts";

interface AttachOptions {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly ipv4: string;
  readonly ipv6: string;
  /** 64 hexadecimal digits. */
  readonly initSecret: string;
  readonly waitMs: number;
  readonly asleep: boolean;
}

interface EntrypointOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly pty: { readonly columns: number; readonly rows: number } | undefined;
}

/** What the gateway tells. */
interface GatewayEvents {
  /** The gateway can be reached, for the first time or again. */
  onConnected(): void;
  onEntrypointEnded(instanceId: string, outcome: InstanceOutcome): void;
  onInitFailed(instanceId: string, message: string): void;
  /** Whether something uses the instance, and for how long it has been so. */
  onActivity(instanceId: string, busy: boolean, forMs: number): void;
  /** Somebody waits for a sleeping instance. */
  onWakeWanted(instanceId: string): void;
}

/** Every call throws AppError as the gateway answered, or with the signal's reason. */
export interface Gateway {
  attach(options: AttachOptions, signal: AbortSignal): Promise<void>;
  startEntrypoint(instanceId: string, options: EntrypointOptions, signal: AbortSignal): Promise<void>;
  open(instanceId: string, options: Pick<EntrypointOptions, "env" | "workdir">, signal: AbortSignal): Promise<void>;
  /** From the answer on, whoever needs the instance waits. Refused (FailedPrecondition) in use, unless forced. */
  suspend(instanceId: string, force: boolean, signal: AbortSignal): Promise<void>;
  /** Whoever waits goes on. */
  resume(instanceId: string, signal: AbortSignal): Promise<void>;
  /** Never throws: a gateway that cannot be told now is told when it can be. */
  detach(instanceId: string): Promise<void>;
}

export interface GatewayClient extends Gateway, AsyncDisposable {
  /** Begins to listen. */
  watch(events: GatewayEvents): void;
}

export interface GatewayClientOptions {
  /** Path of the gateway's socket. */
  readonly socket: string;
  readonly logger: Logger;
}

const CALL_MS = 10_000;
/** The gateway answers by itself when init has not; this is for a gateway that hangs. */
const ATTACH_SLACK_MS = 2_000;
const DETACH_MS = 2_000;
/** A suspension or its end changes a flag. */
const SLEEP_MS = 5_000;

export function openGatewayClient(options: GatewayClientOptions): GatewayClient {
  const { logger } = options;
  const client = new GatewayControlServiceClient(`unix:${options.socket}`, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.keepalive_time_ms": 15_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });
  const closed = new AbortController();
  const owedDetaches = new Set<string>();
  let watching: Promise<void> | undefined;

  const tellDetached = async (instanceId: string) => {
    try {
      await callUnary(client, client.detachInstance, { instanceId }, { timeoutMs: DETACH_MS, signal: closed.signal });
      owedDetaches.delete(instanceId);
    } catch (error) {
      const known = fromGrpcError(error);
      if (isAppError(known, "NotFound")) owedDetaches.delete(instanceId);
      else logger.debug({ instanceId, problem: known.message }, "the gateway could not be told of an end yet");
    }
  };

  const watchOnce = async (events: GatewayEvents, signal: AbortSignal) => {
    await reachable(client, signal);
    const stream = callServerStream(client, client.watchInstances, {}, { signal });
    logger.info({}, "the gateway is there");
    for (const instanceId of owedDetaches) void tellDetached(instanceId);
    events.onConnected();
    for await (const { instanceId, event } of stream) {
      if (event?.$case === "entrypointEnded") {
        events.onEntrypointEnded(instanceId, entrypointOutcome(event.value));
      } else if (event?.$case === "initFailed") {
        events.onInitFailed(instanceId, initFailureWords(event.value.message));
      } else if (event?.$case === "activity") {
        events.onActivity(instanceId, event.value.busy, Math.max(0, event.value.sinceMs));
      } else if (event?.$case === "wakeWanted") {
        events.onWakeWanted(instanceId);
      }
    }
    throw new Error("the gateway closed the stream");
  };

  return {
    attach: (door, signal) =>
      translated(
        callUnary(
          client,
          client.attachInstance,
          {
            instanceId: door.instanceId,
            sandboxId: door.sandboxId,
            generation: door.generation,
            ipv4: door.ipv4,
            ipv6: door.ipv6,
            initSecret: Buffer.from(door.initSecret, "hex"),
            waitMs: door.waitMs,
            asleep: door.asleep,
          },
          { signal, timeoutMs: door.waitMs + ATTACH_SLACK_MS },
        ),
      ),
    startEntrypoint: (instanceId, { command, env, workdir, pty }, signal) =>
      translated(
        callUnary(
          client,
          client.startEntrypoint,
          { instanceId, command: { argv: [...command] }, env: { ...env }, workdir, pty },
          { signal, timeoutMs: CALL_MS },
        ),
      ),
    open: (instanceId, { env, workdir }, signal) =>
      translated(
        callUnary(
          client,
          client.openInstance,
          { instanceId, env: { ...env }, workdir },
          { signal, timeoutMs: CALL_MS },
        ),
      ),
    suspend: (instanceId, force, signal) =>
      translated(callUnary(client, client.suspendInstance, { instanceId, force }, { signal, timeoutMs: SLEEP_MS })),
    resume: (instanceId, signal) =>
      translated(callUnary(client, client.resumeInstance, { instanceId }, { signal, timeoutMs: SLEEP_MS })),
    async detach(instanceId) {
      owedDetaches.add(instanceId);
      await tellDetached(instanceId);
    },
    watch(events) {
      watching ??= keepTrying(
        (signal) => watchOnce(events, signal),
        (error) => logger.warn({ problem: fromGrpcError(error).message }, "the gateway is away"),
        closed.signal,
        { firstMs: 50, maxMs: 1_000 },
      );
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new Error("the worker stops"));
      await watching;
      client.close();
    },
  };
}

async function translated(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    throw fromGrpcError(error);
  }
}

/** A stream to an absent server fails only after its first retry; this tells at once when there is one. */
function reachable(client: GatewayControlServiceClient, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    client.waitForReady(Date.now() + 5_000, (error) => {
      signal.removeEventListener("abort", onAbort);
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}
