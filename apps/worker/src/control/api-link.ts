// The worker's line to the api: wishes come down a stream, reports go up. A line that is down ends nothing.
import { credentials } from "@grpc/grpc-js";
import type { Clock } from "@sallyport/appkit/clock";
import { fromGrpcError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { keepTrying } from "@sallyport/appkit/retry";
import type {
  DesiredImage,
  InstanceAck,
  InstanceReport,
  ReportImageRequest,
  WatchDesiredRequest,
  WatchDesiredResponse,
} from "@sallyport/contracts";
import { callServerStream, callUnary, WorkerServiceClient } from "@sallyport/contracts/grpc";
import type { Wish } from "../instance/registry.ts";
import { wishOf } from "./convert.ts";
import type { WorkerIdentity } from "./identity.ts";

export interface ApiLinkOptions {
  /** Path of the api's socket for workers. */
  readonly socket: string;
  readonly identity: WorkerIdentity;
  /** What this worker has to give, asked anew for each stream. */
  readonly describe: () => Promise<Omit<WatchDesiredRequest, "workerId" | "platformId">>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface ApiLinkEvents {
  /** A new stream: what the api knows may be old. */
  onConnected(): void;
  onWishes(wishes: readonly Wish[], isFull: boolean): void;
  onImages(images: readonly DesiredImage[], isFull: boolean): void;
  /** Addresses of all machines of the platform, as CIDRs, whenever they may have changed. */
  onFleet(cidrs: readonly string[]): void;
}

export interface ApiLink extends AsyncDisposable {
  watch(events: ApiLinkEvents): void;
  /** `addresses`: the machine's own, where they are news. */
  report(
    reports: InstanceReport[],
    addresses: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<readonly InstanceAck[]>;
  /** Progress of an image; answers how much of its log is kept. */
  reportImage(report: Omit<ReportImageRequest, "workerId">, signal: AbortSignal): Promise<number>;
  /** The context of a build. */
  readContext(imageId: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

const REPORT_MS = 5_000;
/** A snapshot comes at least every 10 s; after so long without any, the stream is dead whatever TCP thinks. */
const SILENCE_MS = 30_000;

export function openApiLink(options: ApiLinkOptions): ApiLink {
  const { identity, logger } = options;
  const client = new WorkerServiceClient(`unix:${options.socket}`, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
  });
  const closed = new AbortController();
  let watching: Promise<void> | undefined;

  const watchOnce = async (events: ApiLinkEvents, outer: AbortSignal) => {
    const silence = new AbortController();
    let lastAt = options.clock.monotonicMs();
    const timer = setInterval(() => {
      if (options.clock.monotonicMs() - lastAt > SILENCE_MS) silence.abort(new Error("the api has been silent"));
    }, 1_000);
    timer.unref();
    try {
      const request = { ...(await options.describe()), ...identity };
      const signal = AbortSignal.any([outer, silence.signal]);
      let isFirst = true;
      for await (const response of callServerStream(client, client.watchDesired, request, { signal })) {
        lastAt = options.clock.monotonicMs();
        refuseOtherPlatform(response, identity);
        if (isFirst) events.onConnected();
        isFirst = false;
        events.onWishes(wishesIn(response, logger), response.full);
        events.onImages(response.images, response.full);
        if (response.fleet !== undefined) events.onFleet(response.fleet.cidrs);
      }
    } finally {
      clearInterval(timer);
    }
    throw new Error("the api closed the stream");
  };

  return {
    watch(events) {
      watching ??= keepTrying(
        (signal) => watchOnce(events, signal),
        (error) => logger.warn({ problem: fromGrpcError(error).message }, "no wishes from the api; everything goes on"),
        closed.signal,
        { firstMs: 100, maxMs: 2_000 },
      );
    },
    async report(reports, addresses, signal) {
      const told = addresses === undefined ? undefined : { cidrs: [...addresses] };
      const request = { workerId: identity.workerId, reports, addresses: told };
      const { acks } = await callUnary(client, client.reportInstances, request, { signal, timeoutMs: REPORT_MS });
      return acks;
    },
    async reportImage(report, signal) {
      const request = { ...report, workerId: identity.workerId };
      const { logOffset } = await callUnary(client, client.reportImage, request, { signal, timeoutMs: REPORT_MS });
      return logOffset;
    },
    async *readContext(imageId, signal) {
      const request = { workerId: identity.workerId, imageId, offset: 0 };
      for await (const { data } of callServerStream(client, client.readBuildContext, request, { signal })) yield data;
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new Error("the worker stops"));
      await watching;
      client.close();
    },
  };
}

function refuseOtherPlatform(response: WatchDesiredResponse, identity: WorkerIdentity): void {
  if (response.platformId === identity.platformId) return;
  throw new Error(`this api is of the platform ${JSON.stringify(response.platformId.slice(0, 64))}, not of ours`);
}

function wishesIn(response: WatchDesiredResponse, logger: Logger): Wish[] {
  return response.instances.flatMap((desired) => {
    const wish = wishOf(desired);
    if (wish === undefined) logger.error({ instanceId: desired.instanceId.slice(0, 64) }, "a wish that is none");
    return wish === undefined ? [] : [wish];
  });
}
