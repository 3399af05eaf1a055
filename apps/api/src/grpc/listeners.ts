// The six doors. Every service is at each of them; who comes in by which, and what that one may call, proto/ decides.
import { CallPlaces } from "@sallyport/appkit/call-places";
import type { GrpcListen, GrpcServer } from "@sallyport/appkit/grpc-server";
import { startGrpcServer } from "@sallyport/appkit/grpc-server";
import type { Logger } from "@sallyport/appkit/logger";
import type { Authenticate } from "@sallyport/appkit/principals";
import { everyCallerIs } from "@sallyport/appkit/principals";
import { AUTHORIZATION_KEY } from "@sallyport/contracts";
import { MAX_CALLS_PER_WORKSPACE } from "../domain/limits.ts";
import { publishedKeys } from "../http/jwks.ts";
import { openRestDoor } from "../http/rest.ts";
import { holderOf } from "../services/authenticate.ts";
import type { ServiceDeps } from "../services/deps.ts";
import { adminService } from "./admin-handlers.ts";
import { edgeService } from "./edge-handlers.ts";
import { gatewayService } from "./gateway-handlers.ts";
import { imageService } from "./image-handlers.ts";
import { appService, sandboxService, workspaceService } from "./tenant-handlers.ts";
import { workerService } from "./worker-handlers.ts";

export interface ListenerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly httpListen: { readonly host: string; readonly port: number };
  readonly operatorSocket: string;
  readonly workerSocket: string;
  readonly gatewaySocket: string;
  readonly edgeSocket: string;
  readonly logger: Logger;
}

/** All doors open. Disposal closes them. */
export interface Listeners extends AsyncDisposable {
  /** The TCP port of gRPC. */
  readonly port: number;
  /** The TCP port of HTTP. */
  readonly httpPort: number;
  /** What grpc.health.v1 answers at every door. */
  setServing(serving: boolean): void;
}

/** Opens the doors, TCP last: whoever reaches it finds a whole api. */
export async function startListeners(deps: ServiceDeps, options: ListenerOptions): Promise<Listeners> {
  const services = [
    sandboxService(deps),
    appService(deps),
    workspaceService(deps),
    imageService(deps),
    adminService(deps),
    workerService(deps),
    gatewayService(deps),
    edgeService(deps),
  ];
  await using stack = new AsyncDisposableStack();
  const servers: GrpcServer[] = [];
  const places = new CallPlaces(MAX_CALLS_PER_WORKSPACE);
  const open = async (listen: GrpcListen, authenticate: Authenticate) => {
    const { logger } = options;
    const server = await startGrpcServer({ listen, services, authenticate, logger, places, reflection: true });
    servers.push(stack.use(server));
    return server;
  };
  await open({ kind: "unix", path: options.operatorSocket, mode: 0o600 }, everyCallerIs({ kind: "operator" }));
  await open({ kind: "unix", path: options.workerSocket, mode: 0o600 }, everyCallerIs({ kind: "worker" }));
  await open({ kind: "unix", path: options.gatewaySocket, mode: 0o660 }, everyCallerIs({ kind: "gateway" }));
  await open({ kind: "unix", path: options.edgeSocket, mode: 0o660 }, everyCallerIs({ kind: "edge" }));
  const authenticate = byApiToken(deps);
  const { httpListen, logger } = options;
  const rest = stack.use(
    await openRestDoor({ listen: httpListen, services, authenticate, logger, places, jwks: publishedKeys(deps) }),
  );
  const tcp = await open({ kind: "tcp", ...options.listen }, authenticate);
  if (tcp.port === undefined) throw new Error("a TCP listener has no port");
  const { port } = tcp;
  const owned = stack.move();
  return {
    port,
    httpPort: rest.port,
    setServing(serving) {
      for (const server of servers) server.setServing(serving);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function byApiToken(deps: ServiceDeps): Authenticate {
  return async (metadata) => {
    const values = metadata.get(AUTHORIZATION_KEY);
    const [value] = values;
    if (values.length !== 1 || typeof value !== "string") return undefined;
    const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(value) ?? [];
    const holder = token === undefined ? undefined : await holderOf(deps.db, token);
    return holder === undefined ? undefined : { kind: "workspace", ...holder };
  };
}
