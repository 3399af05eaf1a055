// A tunnel-edge as its main starts it, in this process, between an api and a gateway that tests set by hand.
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { silentLogger } from "@sallyport/appkit/logger";
import type { Route, TunnelRoute } from "@sallyport/contracts";
import { PortKind, RouteState } from "@sallyport/contracts";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import type { GatewayDoor } from "@sallyport/testkit/gateway-door";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { startTunnelEdge } from "../src/app.ts";
import { readConfig } from "../src/config.ts";

const PLATFORM_ID = "01jd00000000000000000000aa";
export const DOMAIN = "localhost";
export const RAW_ADDRESS = "127.0.0.2";

/** "sb-01jd…", the same for the same number. */
export function sandbox(number: number): string {
  return `sb-01jd${String(number).padStart(22, "0")}`;
}

/** "tn-000…", the same for the same number. */
function label(number: number): string {
  return `tn-${String(number).padStart(26, "0")}`;
}

export function hostOf(number: number): string {
  return `${label(number)}.${DOMAIN}`;
}

/** One declared port; the label's number is that of the port when none is said. */
interface Declared {
  readonly port: number;
  readonly label?: number;
  readonly kind?: "tls" | "h2" | "raw";
  readonly publicPort?: number;
  readonly proxyProtocol?: boolean;
}

interface RouteOptions {
  readonly state?: RouteState;
  readonly instance?: number;
  readonly inbound?: readonly string[];
}

const KINDS = { tls: PortKind.TLS, h2: PortKind.H2, raw: PortKind.RAW } as const;

export function route(number: number, declared: readonly Declared[], options: RouteOptions = {}): Route {
  const tunnels = declared.map(
    (one): TunnelRoute => ({
      port: one.port,
      kind: KINDS[one.kind ?? "tls"],
      label: label(one.label ?? one.port),
      publicPort: one.publicPort,
      proxyProtocol: one.proxyProtocol ?? false,
    }),
  );
  return {
    sandboxId: sandbox(number),
    workspaceId: sandbox(number).replace("sb", "ws"),
    instanceId: instance(options.instance ?? number),
    state: options.state ?? RouteState.RUNNING,
    gateway: "",
    tokenEpoch: 0,
    tunnels,
    inboundCidrAllowlist: options.inbound === undefined ? undefined : { cidrs: [...options.inbound] },
  };
}

function instance(number: number): string {
  return sandbox(number).replace("sb", "in");
}

/** A started edge. */
interface Edge extends AsyncDisposable {
  /** Of its TLS listener at 127.0.0.1. */
  readonly port: number;
}

export class World implements AsyncDisposable {
  readonly stack = new AsyncDisposableStack();
  readonly home: string;
  readonly authority: Authority;
  readonly api: FakeEdgeService;
  readonly gateway: GatewayDoor;

  private constructor(home: string, authority: Authority, api: FakeEdgeService, gateway: GatewayDoor) {
    this.home = home;
    this.authority = authority;
    this.api = api;
    this.gateway = gateway;
  }

  static async start(): Promise<World> {
    const home = await mkdtemp(join(tmpdir(), "tunnel-edge-"));
    const authority = await makeAuthority();
    const api = new FakeEdgeService({ platformId: PLATFORM_ID, socketPath: join(home, "edge.sock"), authority });
    const world = new World(home, authority, api, await startGatewayDoor());
    world.stack.defer(() => rm(home, { recursive: true, force: true }));
    world.stack.use(world.gateway);
    world.stack.use(api);
    await api.start();
    return world;
  }

  /** Starts an edge on a free port of the loopback. */
  async edge(settings: Readonly<Record<string, string>> = {}, state = "state"): Promise<Edge> {
    const listener = createServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const config = readConfig({
      SALLYPORT_TUNNEL_STATE: join(this.home, state),
      SALLYPORT_TUNNEL_LISTENERS: "1",
      SALLYPORT_TUNNEL_DOMAIN: DOMAIN,
      SALLYPORT_TUNNEL_CONNECT_DOMAIN: DOMAIN,
      SALLYPORT_API_EDGE_SOCKET: this.api.socketPath,
      SALLYPORT_GATEWAY_OPEN_SOCKET: this.gateway.path,
      SALLYPORT_PLATFORM_ID: PLATFORM_ID,
      SALLYPORT_TUNNEL_DRAIN_MS: "0",
      ...settings,
    });
    const edge = this.stack.use(await startTunnelEdge(config, { logger: silentLogger, listeners: [listener] }));
    return { port, [Symbol.asyncDispose]: () => edge[Symbol.asyncDispose]() };
  }

  /** Lets this listen behind a port of an instance, and half-open connections be. */
  async app(port: number, onConnection: (socket: Socket) => void, number = 1): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      this.stack.defer(() => void socket.destroy());
      onConnection(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.stack.defer(() => void server.close());
    this.gateway.lead(instance(number), port, { loopbackPort: (server.address() as AddressInfo).port });
    return server;
  }

  /** A client of TLS. */
  dial(port: number, servername: string, options: ConnectionOptions = {}): TLSSocket {
    const socket = connect({ host: "127.0.0.1", port, servername, ca: this.authority.pem, ...options });
    this.stack.defer(() => void socket.destroy());
    return socket;
  }

  /** A client of TCP alone. */
  async dialRaw(port: number, host = RAW_ADDRESS, localAddress = "127.0.0.1"): Promise<Socket> {
    const socket = connectTcp({ host, port, localAddress, allowHalfOpen: true, noDelay: true });
    this.stack.defer(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  }

  async metrics(state = "state"): Promise<string> {
    const call = request({ socketPath: join(this.home, state, "metrics.sock"), path: "/metrics" });
    call.end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return await text(answer);
  }

  /** Lines of the access log, of an edge that is over. */
  async lines(state = "state"): Promise<Record<string, unknown>[]> {
    const directory = join(this.home, state, "access");
    const [name = ""] = await readdir(directory);
    const written = await readFile(join(directory, name), "utf8");
    return written
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

/** What comes until the connection is over, and how it is: "end", or the error's code. */
export async function readAll(socket: Socket): Promise<{ bytes: Buffer; end: string }> {
  const chunks: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.once("end", () => resolve("end"));
  socket.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  socket.once("close", () => resolve("closed"));
  const end = await promise;
  return { bytes: Buffer.concat(chunks), end };
}

/** A port of the loopback at which nothing listens, a moment ago. */
export async function freePort(address = RAW_ADDRESS): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
