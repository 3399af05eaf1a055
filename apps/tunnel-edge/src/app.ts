// The tunnel-edge, wired by hand: leaf first, disposed of in reverse.
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import { EdgeKind } from "@sallyport/contracts";
import { RouteTable } from "@sallyport/dataplane/routes";
import type { TurnedAway } from "@sallyport/edge";
import {
  Admission,
  ApiLink,
  edgeCertificates,
  edgeId,
  openMetricsDoor,
  StateFolder,
  TicketKeys,
  TlsDoor,
  takeOver,
} from "@sallyport/edge";
import { openTunnelLog } from "./access-log.ts";
import type { TunnelEdgeConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { addGauges } from "./gauges.ts";
import { HandOver } from "./hand-over.ts";
import { Metrics } from "./metrics.ts";
import { Paces } from "./paces.ts";
import { checkApart } from "./raw-address.ts";
import type { RawRefusal } from "./raw-door.ts";
import { RawDoor } from "./raw-door.ts";
import { RawListeners } from "./raw-listeners.ts";
import { Refusals } from "./refusals.ts";
import type { Arrival } from "./tunnel-connection.ts";
import { TunnelConnection } from "./tunnel-connection.ts";
import { doorRule, tunnelHosts } from "./tunnel-hosts.ts";
import type { Way } from "./ways.ts";
import { Ways } from "./ways.ts";

export interface TunnelEdgeDeps {
  readonly logger: Logger;
  /** Listening TCP sockets that somebody else made. The edge closes them; who came to one before is kept for it. */
  readonly listeners: readonly Server[];
  /** Aborted when the process is told to stop while it starts. */
  readonly signal?: AbortSignal | undefined;
}

/** A running edge. Disposal lets connections end within the time of the settings, then cuts the rest. */
export async function startTunnelEdge(config: TunnelEdgeConfig, deps: TunnelEdgeDeps): Promise<AsyncDisposable> {
  const { logger } = deps;
  const { connectDomain, edgeLimits, isTrustedPeer, platformId, tunnelDomain, tunnelLimits } = config;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await StateFolder.open(config.stateDirectory)); // first: it is ours alone
  const stateDirectory = folder.path;
  const metrics = new Metrics();
  stack.use(await openMetricsDoor(join(stateDirectory, "metrics.sock"), metrics));
  const link = stack.use(new ApiLink({ socketPath: config.apiSocket, edgeId: edgeId(stateDirectory), logger }));
  const accessLog = config.accessLog
    ? stack.use(await openTunnelLog({ directory: join(config.stateDirectory, "access"), now: Date.now, logger }))
    : undefined;

  const table = new RouteTable({ platformId, now: Date.now });
  const ways = new Ways(table);
  // Of nobody more is taken than of others: balancers say for whom they come, and that client's address counts.
  const admission = new Admission(edgeLimits);
  const connections = stack.use(new Connections(table));
  const place = {
    ways,
    limits: tunnelLimits,
    paces: new Paces(tunnelLimits.bytesPerSecond),
    publicPort: config.publicPort,
  };
  const serve = async (arrival: Arrival) => {
    const connection = new TunnelConnection(place, arrival);
    using _open = connections.add(connection);
    const end = await connection.run();
    metrics.ended(end);
    accessLog?.write(end);
  };
  const onArrival = (arrival: Arrival) => {
    serve(arrival).catch((error: unknown) => {
      logger.error({ err: error }, "a connection could not be served");
      arrival.transport.destroy();
    });
  };

  let isServing = false;
  const listening = Promise.withResolvers<RawListeners | undefined>();
  const refusals = stack.use(new Refusals((refusal) => accessLog?.write(refusal)));
  const onRefused = (door: "tls" | "raw", { client: ends, reason, transport, way }: TurnedAway<Way, RawRefusal>) => {
    metrics.refused(door, reason);
    // One that had come through is written down at its end.
    if (connections.shed(transport) || way === undefined) return;
    const { route, tunnel } = way;
    const kind = door === "tls" && tunnel.kind === "h2" ? "h2" : door;
    const { sandboxId } = route;
    refusals.add({ sandboxId, port: tunnel.port, kind, refusal: reason, peer: ends?.source.address });
  };
  const rawDoor = stack.use(
    new RawDoor({
      admission,
      ways,
      sendsProxyHeader: isTrustedPeer,
      onArrival,
      onRefused: (refused) => onRefused("raw", refused),
      logger,
    }),
  );
  const watch = stack.use(
    await link.followRoutes({
      table,
      stateDirectory,
      kind: EdgeKind.TUNNEL,
      ownGateway: config.gatewaySocket,
      // One that takes another one's place acts on it by that other one until then.
      ready: async () => (folder.isSuccessor && !isServing ? undefined : await (await listening.promise)?.settled()),
    }),
  );
  stack.defer(() => listening.resolve(undefined)); // nobody waits for a start that fails
  const hosts = tunnelHosts(tunnelDomain, table);
  const tickets = stack.use(new TicketKeys({ directory: config.ticketDirectory, now: Date.now, logger }));
  const certificates = stack.use(
    edgeCertificates({
      files: config.certificate,
      domain: tunnelDomain,
      setting: "SALLYPORT_TUNNEL_CERT",
      hosts,
      table,
      tickets,
      link,
      stateDirectory,
      now: Date.now,
      logger,
    }),
  );
  const handOver =
    config.connectSockets.length === 0
      ? undefined
      : stack.use(
          new HandOver({
            sockets: config.connectSockets,
            onHandedOver: (isTaken) => metrics.handedOver(isTaken),
            logger,
          }),
        );
  const door = stack.use(
    new TlsDoor<Way>({
      admission,
      limits: edgeLimits,
      certificates,
      answer: doorRule({
        tunnelDomain,
        connectDomain,
        ways,
        handOver: handOver && ((one) => handOver.take(one)),
      }),
      sendsProxyHeader: isTrustedPeer,
      onSecure: ({ client: ends, servername, socket, transport, way }) => {
        const kind = way.tunnel.kind === "h2" ? "h2" : "tls";
        onArrival({ way, kind, stream: socket, transport, client: ends, serverName: servername });
      },
      onRefused: (refused) => onRefused("tls", refused),
      logger,
    }),
  );
  stack.use(await takeOver({ folder, caughtUp: watch.caughtUp, link, logger, signal: deps.signal }));
  stack.defer(async () => {
    connections.drain();
    await admission.empty(config.drainMs);
  });
  stack.defer(() => door.close());
  for (const listener of deps.listeners) door.listen(listener);
  if (config.raw !== undefined) await checkApart(config.raw.address, deps.listeners);
  const raw =
    config.raw === undefined
      ? undefined
      : stack.use(
          new RawListeners({
            ...config.raw,
            table,
            onConnection: (socket: Socket, publicPort) => rawDoor.enter(socket, publicPort),
            logger,
          }),
        );
  isServing = true;
  listening.resolve(raw);
  await raw?.settled(); // before the one that this one replaces lets go
  addGauges(metrics, { admission, connections, handOver, raw, table, watch, accessLog });
  if (config.metricsPort !== undefined) stack.use(await openMetricsDoor(config.metricsPort, metrics));
  const running = stack.move();
  return { [Symbol.asyncDispose]: () => running.disposeAsync() };
}
