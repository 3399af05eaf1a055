// An api for tests of the worker: real gRPC over a Unix socket; wishes as the test sets them, reports as they come.
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import { silentLogger } from "@sallyport/appkit/logger";
import { everyCallerIs } from "@sallyport/appkit/principals";
import { bindService } from "@sallyport/appkit/service";
import type {
  DesiredImage,
  DesiredInstance,
  InstanceReport,
  InstanceState,
  ReportImageRequest,
  WatchDesiredRequest,
} from "@sallyport/contracts";
import { WorkerServiceService } from "@sallyport/contracts/grpc";
import { eventually } from "./machine.ts";

export interface FakeApi extends AsyncDisposable {
  platformId: string;
  /** Everything that is wished, by instance. */
  readonly wishes: Map<string, DesiredInstance>;
  readonly hellos: WatchDesiredRequest[];
  /** Every report, in order. */
  readonly reports: { readonly atMs: number; readonly report: InstanceReport }[];
  /** What the worker told of its machine's addresses, in order. */
  readonly addresses: (readonly string[])[];
  /** Those of the fleet, told with each announcement where there are some. */
  fleet: readonly string[] | undefined;
  /** Answered as unknown. */
  readonly unknown: Set<string>;
  /** Every image that is wished. */
  readonly images: Map<string, DesiredImage>;
  /** What was told of images, in order. */
  readonly imageReports: ReportImageRequest[];
  /** Contexts of builds, by image. */
  readonly contexts: Map<string, Uint8Array>;
  /** Sends all wishes. */
  announce(): void;
  latest(instanceId: string): InstanceReport | undefined;
  /** Resolves with the first report of this state. */
  reached(instanceId: string, state: InstanceState, timeoutMs?: number): Promise<InstanceReport>;
}

export async function startFakeApi(socket: string, platformId: string): Promise<FakeApi> {
  const watchers = new Set<() => void>();
  const reports: { readonly atMs: number; readonly report: InstanceReport }[] = [];
  const service = bindService(WorkerServiceService, {
    async *watchDesired(request, { signal }) {
      api.hellos.push(request);
      let wake = () => {};
      let isDue = true;
      const listen = () => {
        isDue = true;
        wake();
      };
      watchers.add(listen);
      try {
        while (!signal.aborted) {
          if (isDue) {
            isDue = false;
            yield {
              platformId: api.platformId,
              full: true,
              instances: [...api.wishes.values()],
              images: [...api.images.values()],
              fleet: api.fleet === undefined ? undefined : { cidrs: [...api.fleet] },
            };
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
              signal.addEventListener("abort", () => resolve(), { once: true });
            });
          }
        }
      } finally {
        watchers.delete(listen);
      }
    },
    async reportInstances(request) {
      if (request.addresses !== undefined) api.addresses.push(request.addresses.cidrs);
      for (const report of request.reports) reports.push({ atMs: performance.now(), report });
      const acks = request.reports.map(({ instanceId, seq }) => ({
        instanceId,
        seq,
        unknown: api.unknown.has(instanceId),
      }));
      return { acks };
    },
    async reportImage(request) {
      api.imageReports.push(request);
      return { logOffset: request.logOffset + Buffer.byteLength(request.log) };
    },
    async *readBuildContext({ imageId, offset }) {
      yield { data: Buffer.from(api.contexts.get(imageId) ?? []).subarray(offset) };
    },
  });
  const server = await startGrpcServer({
    listen: { kind: "unix", path: socket, mode: 0o600 },
    services: [service],
    authenticate: everyCallerIs({ kind: "worker" }),
    logger: silentLogger,
    drainMs: 100,
  });
  const api: FakeApi = {
    platformId,
    wishes: new Map(),
    hellos: [],
    reports,
    addresses: [],
    fleet: undefined,
    unknown: new Set(),
    images: new Map(),
    imageReports: [],
    contexts: new Map(),
    announce() {
      for (const watcher of watchers) watcher();
    },
    latest: (instanceId) => reports.findLast(({ report }) => report.instanceId === instanceId)?.report,
    reached: (instanceId, state, timeoutMs) =>
      eventually(
        `${instanceId} in state ${state}`,
        async () => reports.find(({ report }) => report.instanceId === instanceId && report.state === state)?.report,
        timeoutMs,
      ),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
  return api;
}
