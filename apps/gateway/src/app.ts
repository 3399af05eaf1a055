// The gateway, wired by hand: leaf first, disposed of in reverse.
import type { Server } from "node:net";
import type { Clock } from "@sallyport/appkit/clock";
import { systemClock } from "@sallyport/appkit/clock";
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import type { Logger } from "@sallyport/appkit/logger";
import { everyCallerIs } from "@sallyport/appkit/principals";
import type { GatewayConfig } from "./config.ts";
import { controlService } from "./control-service.ts";
import { TOOL_PATH } from "./files/tool.ts";
import { openRestDoor } from "./http/rest.ts";
import { Instances } from "./instances.ts";
import { ioService } from "./io-service.ts";
import { ioAuthenticate } from "./io-token.ts";
import { Keys } from "./keys.ts";
import { MAX_RETAINED_PROCESSES } from "./limits.ts";
import type { Dial } from "./open.ts";
import { dialTcp, Opener } from "./open.ts";
import { startOpenListener } from "./open-listener.ts";

export interface GatewayDeps {
  readonly logger: Logger;
  /** Where SandboxIO is served: a listening TCP socket that somebody else made, in a network we are not in. */
  readonly ioListener: Server;
  /** Where the same is served over HTTP: such a socket too. Nowhere when unset. */
  readonly httpListener?: Server;
  readonly clock?: Clock;
  readonly dial?: Dial;
  /** Where init's program is in every sandbox. */
  readonly initProgram?: string;
}

/** Streams end by being cut: their callers go on at another offset later. Short, for two servers stop in turn. */
const DRAIN_MS = 500;

/** A running gateway. Disposal closes doors and links, and ends nothing in the sandboxes. */
export async function startGateway(config: GatewayConfig, deps: GatewayDeps): Promise<AsyncDisposable> {
  const { logger } = deps;
  const clock = deps.clock ?? systemClock;
  const dial = deps.dial ?? dialTcp;
  const initProgram = deps.initProgram ?? TOOL_PATH;
  await using stack = new AsyncDisposableStack();
  const { bounds, retainedBytes, retentionMs, stateDirectory } = config;
  const keys = stack.use(await Keys.start({ stateDirectory, apiSocket: config.apiSocket, logger }));
  const instances = stack.use(
    new Instances({
      stateDirectory,
      bounds,
      retentionMs,
      retainedBytes,
      retainedProcesses: MAX_RETAINED_PROCESSES,
      initProgram,
      dial,
      clock,
      logger,
    }),
  );
  const opener = new Opener({ find: (instanceId) => instances.find(instanceId), dial });
  stack.use(await startOpenListener({ socketPath: config.openSocket, opener, logger }));
  stack.use(
    await startGrpcServer({
      listen: { kind: "unix", path: config.workerSocket, mode: 0o600 },
      services: [controlService(instances)],
      authenticate: everyCallerIs({ kind: "worker" }),
      logger,
      drainMs: DRAIN_MS,
    }),
  );
  const services = [ioService(instances, opener)];
  const authenticate = ioAuthenticate(keys, clock);
  stack.use(
    await startGrpcServer({
      listen: { kind: "accepted", listener: deps.ioListener },
      services,
      authenticate,
      logger,
      drainMs: DRAIN_MS,
    }),
  );
  if (deps.httpListener !== undefined) {
    const { httpListener: listener } = deps;
    stack.use(await openRestDoor({ listener, services, authenticate, logger, drainMs: DRAIN_MS }));
  }
  const running = stack.move();
  return { [Symbol.asyncDispose]: () => running.disposeAsync() };
}
