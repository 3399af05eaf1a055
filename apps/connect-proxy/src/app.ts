// The connect-proxy, wired by hand: leaf first, disposed of in reverse.
import type { Server } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import { fromGrpcError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { EdgeKind } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { RouteTable } from "@sallyport/dataplane/routes";
import {
  Admission,
  ApiLink,
  edgeCertificates,
  edgeId,
  listenAtOwnSocket,
  openMetricsDoor,
  StateFolder,
  TicketKeys,
  TlsDoor,
  takeOver,
} from "@sallyport/edge";
import { openConnectLog } from "./access-log.ts";
import { AssertionKeys } from "./assertion-keys.ts";
import type { ConnectProxyConfig } from "./config.ts";
import { connectHosts, doorRule } from "./connect-hosts.ts";
import { Deadlines } from "./deadlines.ts";
import type { ExchangeEnd } from "./exchange.ts";
import { addGauges } from "./gauges.ts";
import { Http1Front } from "./http1.ts";
import { Http2Front } from "./http2.ts";
import { TICK_MS } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { provingRules } from "./proving-rules.ts";
import { ConnectRules } from "./rules.ts";
import { Upstream } from "./upstream/upstream.ts";

export interface ConnectProxyDeps {
  readonly logger: Logger;
  /** Listening TCP sockets that somebody else made. The proxy closes them; who came to one before is kept for it. */
  readonly listeners: readonly Server[];
  /** The same as a Unix socket, at which an edge in front hands connections over: each begins with a PROXY header. */
  readonly handOver?: Server | undefined;
  /** Aborted when the process is told to stop while it starts. */
  readonly signal?: AbortSignal | undefined;
}

/** Of the hand-over socket: whoever may connect may say where clients come from. */
const HAND_OVER_MODE = 0o660;

const PUBLISH_MS = 5_000;

/** A running proxy. Disposal lets what is under way end within the time of the settings, then cuts the rest. */
export async function startConnectProxy(config: ConnectProxyConfig, deps: ConnectProxyDeps): Promise<AsyncDisposable> {
  const { logger } = deps;
  const { connectDomain, coreLimits: limits, edgeLimits, platformId, streamLimits } = config;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await StateFolder.open(config.stateDirectory)); // first: it is ours alone
  const stateDirectory = folder.path;
  const metrics = new Metrics();
  stack.use(await openMetricsDoor(join(stateDirectory, "metrics.sock"), metrics));
  const link = stack.use(new ApiLink({ socketPath: config.apiSocket, edgeId: edgeId(stateDirectory), logger }));

  const table = new RouteTable({ platformId, now: Date.now });
  const watch = stack.use(
    await link.followRoutes({
      table,
      stateDirectory,
      kind: EdgeKind.CONNECT,
      ownGateway: config.gatewaySocket,
    }),
  );
  const issuer = `sallyport:${platformId}`;
  const assertions = stack.use(
    await AssertionKeys.start({
      directory: stateDirectory,
      issuer,
      clock: systemClock,
      publish: async (jwk, signal) => {
        const { client, edgeId: by } = link;
        await callUnary(client, client.publishAssertionKey, { edgeId: by, jwk }, { signal, timeoutMs: PUBLISH_MS });
      },
      onProblem: onceInARow((error) =>
        logger.warn({ err: error }, "keys for assertions are not published; trying again"),
      ),
    }),
  );
  const rules = new ConnectRules({
    issuer,
    routes: table,
    assertions,
    now: Date.now,
    isTrustedPeer: config.isTrustedPeer,
    preflight: config.preflight,
    rootServiceWorkers: config.rootServiceWorkers,
    maxCachedTokens: config.cachedTokens,
    onFault: (error, { requestId }) => logger.error({ err: error, requestId }, "a request could not be decided upon"),
  });

  const accessLog = config.accessLog
    ? stack.use(await openConnectLog({ directory: join(config.stateDirectory, "access"), now: Date.now, logger }))
    : undefined;
  const observe = (end: ExchangeEnd) => {
    metrics.exchange(end);
    accessLog?.write(end);
  };
  const deadlines = stack.use(new Deadlines(TICK_MS));
  const upstream = stack.use(
    new Upstream({ limits, deadlines, currentRoute: (sandboxId) => rules.currentRoute(sandboxId) }),
  );
  const admission = new Admission(edgeLimits, config.isTrustedPeer);
  const proving = provingRules(rules, (address, sandboxId) => admission.prove(address, sandboxId));
  const common = { rules: proving, watch: rules, upstream, limits, connectDomain, deadlines, observe };
  const http1 = stack.use(new Http1Front({ ...common, keepWebSockets: config.keepWebSockets }));
  const http2 = stack.use(new Http2Front({ ...common, streamLimits }));
  const hosts = connectHosts(connectDomain, table);
  const tickets = stack.use(new TicketKeys({ directory: config.ticketDirectory, now: Date.now, logger }));
  const certificates = stack.use(
    edgeCertificates({
      files: config.certificate,
      domain: connectDomain,
      setting: "SALLYPORT_CONNECT_CERT",
      hosts,
      table,
      tickets,
      link,
      stateDirectory,
      now: Date.now,
      logger,
    }),
  );
  const door = new TlsDoor({
    admission,
    limits: edgeLimits,
    certificates,
    answer: doorRule({ connectDomain, http2: config.http2 }),
    onSecure: (connection) => (connection.protocol === "h2" ? http2 : http1).serve(connection.socket, connection),
    onRefused: ({ reason }) => metrics.refusedAtDoor(reason),
    logger,
  });
  stack.use(door);
  stack.use(await takeOver({ folder, caughtUp: watch.caughtUp, link, logger, signal: deps.signal }));
  stack.defer(async () => {
    door.close();
    http1.drain();
    http2.drain();
    await admission.empty(config.drainMs);
  });
  addGauges(metrics, { admission, table, watch, rules, upstream, http1, accessLog });
  if (config.metricsPort !== undefined) stack.use(await openMetricsDoor(config.metricsPort, metrics));
  for (const listener of deps.listeners) door.listen(listener);
  if (deps.handOver !== undefined) door.listen(deps.handOver, "proxy-header");
  if (config.handOverSocket !== undefined) {
    const handOver = createServer();
    door.listen(handOver, "proxy-header");
    await listenAtOwnSocket(handOver, config.handOverSocket, HAND_OVER_MODE);
  }
  const running = stack.move();
  return { [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Tells of what goes on failing in the same way once. */
function onceInARow(tell: (error: Error) => void): (error: unknown) => void {
  let last: string | undefined;
  return (thrown) => {
    const error = fromGrpcError(thrown);
    if (error.message !== last) tell(error);
    last = error.message;
  };
}
