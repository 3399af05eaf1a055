// What the fake platform does of a sandbox's life: names, tags, sleep, policies, events, usage.
import { once } from "node:events";
import type { ServerWritableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type {
  ExplainDestinationRequest,
  GetSandboxByNameRequest,
  GetUsageResponse,
  SetSandboxTagsRequest,
  UpdateNetworkPolicyRequest,
  WatchSandboxEventsRequest,
  WatchSandboxEventsResponse,
  WorkspaceQuota,
} from "@sallyport/contracts";
import { SandboxState } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";
import type { FakeSandbox } from "./fake-sandbox.ts";

/** What the platform lends. */
export interface LifeCycleDeps {
  handle<Q, R>(method: string, work: (request: Q) => Promise<R>): UntypedServiceImplementation[string];
  find(id: string): FakeSandbox;
  all(): readonly FakeSandbox[];
  /** Notes a call of a stream and proves its caller. */
  begin(method: string, call: ServerWritableStream<unknown, unknown>): Promise<void>;
}

export function lifeCycleHandlers(deps: LifeCycleDeps): UntypedServiceImplementation {
  const { handle, find } = deps;
  const setAsleep = (asleep: boolean) => async (request: { sandboxId: string }) => {
    const sandbox = find(request.sandboxId);
    if (sandbox.view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded", field: "sandbox_id" });
    sandbox.view.asleep = asleep;
    sandbox.tell(asleep ? "asleep" : "awake", { by: "hand" });
    return { sandbox: sandbox.view };
  };
  return {
    getSandboxByName: handle("getSandboxByName", async (request: GetSandboxByNameRequest) => {
      const { name, appName = "default" } = request;
      const isWanted = ({ view }: FakeSandbox) =>
        view.name === name && view.appName === appName && view.state !== SandboxState.ENDED;
      const sandbox = deps.all().find(isWanted);
      if (sandbox === undefined) throw wireError({ code: "NotFound", field: "name" });
      return { sandbox: sandbox.view };
    }),
    setSandboxTags: handle("setSandboxTags", async (request: SetSandboxTagsRequest) => {
      const sandbox = find(request.sandboxId);
      sandbox.view.tags = request.tags;
      sandbox.tell("tags_changed", { count: Object.keys(request.tags).length });
      return { sandbox: sandbox.view };
    }),
    updateNetworkPolicy: handle("updateNetworkPolicy", async (request: UpdateNetworkPolicyRequest) => {
      const sandbox = find(request.sandboxId);
      if (sandbox.view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded", field: "sandbox_id" });
      // What holds already makes no other generation.
      if (JSON.stringify(sandbox.view.network) === JSON.stringify(request.network)) return { sandbox: sandbox.view };
      sandbox.view.network = request.network;
      sandbox.view.networkGeneration += 1;
      sandbox.tell("network_policy_changed", { generation: sandbox.view.networkGeneration, by: "update" });
      return { sandbox: sandbox.view };
    }),
    // Blocked or not: that is all that this one judges.
    explainDestination: handle("explainDestination", async (request: ExplainDestinationRequest) => {
      const { view } = find(request.sandboxId);
      if (!/^[0-9a-z[]/.test(request.destination)) throw wireError({ code: "InvalidArgument", field: "destination" });
      const allowed = view.network?.mode?.$case !== "blocked";
      const hint = allowed ? "" : "use another policy";
      return { allowed, rule: allowed ? "open" : "blocked", why: `so says the policy of ${request.destination}`, hint };
    }),
    sleepSandbox: handle("sleepSandbox", setAsleep(true)),
    wakeSandbox: handle("wakeSandbox", setAsleep(false)),
    watchSandboxEvents: (call: ServerWritableStream<WatchSandboxEventsRequest, WatchSandboxEventsResponse>) => {
      watchEvents(deps, call).then(
        () => call.end(),
        (error: unknown) => call.emit("error", error),
      );
    },
  };
}

async function watchEvents(
  deps: LifeCycleDeps,
  call: ServerWritableStream<WatchSandboxEventsRequest, WatchSandboxEventsResponse>,
): Promise<void> {
  call.sendMetadata(new Metadata());
  await deps.begin("watchSandboxEvents", call);
  const { sandboxId, follow } = call.request;
  const sandbox = deps.find(sandboxId);
  const gone = new AbortController();
  call.on("cancelled", () => gone.abort());
  for (let { afterSeq } = call.request; !gone.signal.aborted; ) {
    const event = sandbox.events.find(({ seq }) => seq > afterSeq);
    if (event !== undefined) {
      call.write({ event });
      afterSeq = event.seq;
    } else if (follow && sandbox.view.state !== SandboxState.ENDED) {
      await once(sandbox, "change", { signal: gone.signal });
    } else {
      return;
    }
  }
}

/** Every sandbox counts; the bounds are the real platform's defaults. */
export function usageOf(sandboxes: readonly FakeSandbox[]): GetUsageResponse {
  const living = sandboxes.map(({ view }) => view).filter((view) => view.state !== SandboxState.ENDED);
  const sum = (part: (view: FakeSandbox["view"]) => number) => living.reduce((total, view) => total + part(view), 0);
  const used: WorkspaceQuota = {
    sandboxes: living.length,
    cpuMillis: sum((view) => view.cpuMillis),
    memoryMib: sum((view) => view.memoryMib),
    diskMib: sum((view) => view.diskMib),
    createsPerMinute: sandboxes.length,
  };
  const quota: WorkspaceQuota = {
    sandboxes: 1_000,
    cpuMillis: 1_000_000,
    memoryMib: 1_048_576,
    diskMib: 4_194_304,
    createsPerMinute: 1_200,
  };
  return { quota, used };
}
