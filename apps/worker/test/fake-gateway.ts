// A gateway for tests of the worker: real gRPC over a Unix socket, with answers that the test chooses.
import { AppError } from "@sallyport/appkit/errors";
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import { silentLogger } from "@sallyport/appkit/logger";
import { everyCallerIs } from "@sallyport/appkit/principals";
import { bindService } from "@sallyport/appkit/service";
import type { AttachInstanceRequest, StartEntrypointRequest, WatchInstancesResponse } from "@sallyport/contracts";
import { GatewayControlServiceService } from "@sallyport/contracts/grpc";

export interface FakeGateway extends AsyncDisposable {
  readonly calls: string[];
  readonly attached: Map<string, AttachInstanceRequest>;
  readonly started: Map<string, StartEntrypointRequest>;
  /** Thrown by the next calls of that name. */
  readonly failures: Map<string, AppError>;
  tell(event: WatchInstancesResponse): void;
}

export async function startFakeGateway(socket: string): Promise<FakeGateway> {
  const watchers = new Set<(event: WatchInstancesResponse) => void>();
  const gateway = {
    calls: [] as string[],
    attached: new Map<string, AttachInstanceRequest>(),
    started: new Map<string, StartEntrypointRequest>(),
    failures: new Map<string, AppError>(),
  };
  const called = (name: string, instanceId: string) => {
    gateway.calls.push(`${name} ${instanceId}`);
    const failure = gateway.failures.get(name);
    if (failure !== undefined) throw failure;
  };
  const known = (instanceId: string) => {
    if (!gateway.attached.has(instanceId)) throw new AppError("NotFound", "there is no such instance");
  };
  const service = bindService(GatewayControlServiceService, {
    async attachInstance(request) {
      called("attach", request.instanceId);
      gateway.attached.set(request.instanceId, request);
      return {};
    },
    async startEntrypoint(request) {
      called("start", request.instanceId);
      known(request.instanceId);
      gateway.started.set(request.instanceId, request);
      return {};
    },
    async openInstance(request) {
      called("open", request.instanceId);
      known(request.instanceId);
      return {};
    },
    async detachInstance(request) {
      called("detach", request.instanceId);
      gateway.attached.delete(request.instanceId);
      return {};
    },
    async suspendInstance(request) {
      called(request.force ? "suspend!" : "suspend", request.instanceId);
      known(request.instanceId);
      return {};
    },
    async resumeInstance(request) {
      called("resume", request.instanceId);
      known(request.instanceId);
      return {};
    },
    async *watchInstances(_request, { signal }) {
      const queue: WatchInstancesResponse[] = [];
      let wake = () => {};
      const listen = (event: WatchInstancesResponse) => {
        queue.push(event);
        wake();
      };
      watchers.add(listen);
      try {
        while (!signal.aborted) {
          const event = queue.shift();
          if (event !== undefined) yield event;
          else {
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
  });
  const server = await startGrpcServer({
    listen: { kind: "unix", path: socket, mode: 0o600 },
    services: [service],
    authenticate: everyCallerIs({ kind: "worker" }),
    logger: silentLogger,
    drainMs: 100,
  });
  return {
    ...gateway,
    tell(event) {
      for (const watcher of watchers) watcher(event);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
