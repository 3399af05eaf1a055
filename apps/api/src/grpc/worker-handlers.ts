// Thin handlers of what a worker calls: WorkerService.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import type { DesiredInstance, WatchDesiredResponse } from "@sallyport/contracts";
import { InstanceSpec, NetworkRules } from "@sallyport/contracts";
import { WorkerServiceService } from "@sallyport/contracts/grpc";
import type { ServiceDeps } from "../services/deps.ts";
import { readContext, reportImage } from "../services/worker-images.ts";
import { reportInstances } from "../services/worker-reports.ts";
import { watchDesired } from "../services/worker-sync.ts";
import { fromMakingReport, toDesiredImage } from "./convert-image.ts";
import { fromHello, fromReport, toDesired } from "./convert-worker.ts";

/** What the specs of one message may come to: tenants fill them, and no tenant may make a message that is refused. */
const MAX_SPEC_BYTES = 512 * 1024;

export function workerService(deps: ServiceDeps): BoundService {
  return bindService(WorkerServiceService, {
    async *watchDesired(request, context) {
      for await (const update of watchDesired(deps, fromHello(request), context.signal)) {
        const images = update.images.map(toDesiredImage);
        // Those in the making carry a Dockerfile: each has a message of its own, before one that lists all.
        const making = images.filter((image) => image.source !== undefined);
        for (const image of making) yield { platformId: deps.platformId, full: false, instances: [], images: [image] };
        const rest = update.full
          ? images.map((image) => ({ ...image, source: undefined, registryUsername: "", registryPassword: "" }))
          : images.filter((image) => image.source === undefined);
        const { full, fleet } = update;
        if (!full && fleet === undefined && update.instances.length + rest.length === 0) continue;
        const last = { full, images: rest, fleet: fleet === undefined ? undefined : { cidrs: [...fleet] } };
        yield* inMessages(deps.platformId, update.instances.map(toDesired), last);
      }
    },
    async reportInstances(request) {
      const reports = request.reports.map((message, index) => {
        const report = fromReport(message);
        if (report === undefined) throw invalidArgument(`reports[${index}].state`, "is no state of an instance");
        return report;
      });
      const { workerId, addresses } = request;
      return { acks: await reportInstances(deps, workerId, reports, addresses?.cidrs) };
    },
    async reportImage(request) {
      return { logOffset: await reportImage(deps, fromMakingReport(request)) };
    },
    async *readBuildContext(request) {
      for await (const data of readContext(deps, request)) yield { data: Buffer.from(data) };
    },
  });
}

/**
 * The messages for an update: one, unless specs would make it too long. Then changes that carry specs go first, and a
 * full message lists all instances, leaving out what those carried.
 */
function* inMessages(
  platformId: string,
  instances: readonly DesiredInstance[],
  rest: Pick<WatchDesiredResponse, "full" | "images" | "fleet">,
): Generator<WatchDesiredResponse> {
  const batches: DesiredInstance[][] = [[]];
  let bytes = 0;
  for (const instance of instances) {
    const size = sizeOf(instance);
    if (bytes > 0 && bytes + size > MAX_SPEC_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    bytes += size;
    batches.at(-1)?.push(instance);
  }
  const last = batches.pop() ?? [];
  for (const batch of batches) yield { platformId, full: false, instances: batch, images: [] };
  const bare = { spec: undefined, network: undefined };
  const carried = rest.full ? batches.flat().map((instance) => ({ ...instance, ...bare })) : [];
  yield { platformId, ...rest, instances: [...carried, ...last] };
}

function sizeOf({ spec, network }: DesiredInstance): number {
  const specBytes = spec === undefined ? 0 : InstanceSpec.encode(spec).finish().length;
  return specBytes + (network === undefined ? 0 : NetworkRules.encode(network).finish().length);
}
