// Thin handlers of what a worker calls: WorkerService.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import type { DesiredInstance, WatchDesiredResponse } from "@sallyport/contracts";
import { InstanceSpec } from "@sallyport/contracts";
import { WorkerServiceService } from "@sallyport/contracts/grpc";
import type { ServiceDeps } from "../services/deps.ts";
import { reportInstances, watchDesired } from "../services/worker-sync.ts";
import { fromHello, fromReport, toDesired } from "./convert-worker.ts";

/** What the specs of one message may come to: tenants fill them, and no tenant may make a message that is refused. */
const MAX_SPEC_BYTES = 512 * 1024;

export function workerService(deps: ServiceDeps): BoundService {
  return bindService(WorkerServiceService, {
    async *watchDesired(request, context) {
      for await (const update of watchDesired(deps, fromHello(request), context.signal)) {
        yield* inMessages(deps.platformId, update.full, update.instances.map(toDesired));
      }
    },
    async reportInstances(request) {
      const reports = request.reports.map((message, index) => {
        const report = fromReport(message);
        if (report === undefined) throw invalidArgument(`reports[${index}].state`, "is no state of an instance");
        return report;
      });
      return { acks: await reportInstances(deps, request.workerId, reports) };
    },
  });
}

/**
 * The messages for an update: one, unless specs would make it too long. Then changes that carry specs go first, and a
 * full message lists all instances, leaving out what those carried.
 */
function* inMessages(
  platformId: string,
  full: boolean,
  instances: readonly DesiredInstance[],
): Generator<WatchDesiredResponse> {
  const batches: DesiredInstance[][] = [[]];
  let bytes = 0;
  for (const instance of instances) {
    const size = instance.spec === undefined ? 0 : InstanceSpec.encode(instance.spec).finish().length;
    if (bytes > 0 && bytes + size > MAX_SPEC_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    bytes += size;
    batches.at(-1)?.push(instance);
  }
  const last = batches.pop() ?? [];
  for (const batch of batches) yield { platformId, full: false, instances: batch };
  const carried = full ? batches.flat().map((instance) => ({ ...instance, spec: undefined })) : [];
  yield { platformId, full, instances: [...carried, ...last] };
}
