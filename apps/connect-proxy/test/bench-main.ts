// A program for benchmarks: the proxy as it is wired, with access log, limits and metrics, but told of one sandbox by its
// caller instead of an api, and without TLS where that is asked for.
import { createServer } from "node:net";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import { createLogger } from "@sallyport/appkit/logger";
import { RouteTable } from "@sallyport/dataplane/routes";
import { Admission, certificatesFromFiles, DEFAULT_EDGE_LIMITS, TlsDoor } from "@sallyport/edge";
import { openConnectLog } from "../src/access-log.ts";
import { AssertionKeys } from "../src/assertion-keys.ts";
import { doorRule } from "../src/connect-hosts.ts";
import { Deadlines } from "../src/deadlines.ts";
import type { ExchangeEnd } from "../src/exchange.ts";
import { DEFAULT_STREAM_LIMITS } from "../src/h2/limits.ts";
import { Http1Front } from "../src/http1.ts";
import { Http2Front } from "../src/http2.ts";
import { DEFAULT_LIMITS } from "../src/limits.ts";
import { Metrics } from "../src/metrics.ts";
import { ConnectRules } from "../src/rules.ts";
import { Upstream } from "../src/upstream/upstream.ts";

/** The program's one argument, as JSON. */
interface Options {
  /** Of 127.0.0.1. */
  readonly port: number;
  readonly connectDomain: string;
  /** Paths of PEM files; unset: no TLS, and every connection is the sandbox's. */
  readonly tls?: { readonly chain: string; readonly key: string };
  readonly stateDirectory: string;
  readonly issuer: string;
  readonly keySet: object;
  readonly sandboxId: string;
  readonly workspaceId: string;
  readonly instanceId: string;
  /** Of the gateway's socket. */
  readonly gateway: string;
}

const options = JSON.parse(process.argv[2] ?? "") as Options;
const { connectDomain, issuer, port, sandboxId, stateDirectory } = options;
/** As many as the load has: what is measured is what a request costs, not who is turned away. */
const limits = { ...DEFAULT_LIMITS, maxRequestsPerSandbox: 1_000, maxPooledPerPort: 1_000 };
const logger = createLogger("connect-proxy");

const table = new RouteTable({ platformId: issuer.replace("sallyport:", ""), now: Date.now });
const { gateway, instanceId, keySet, workspaceId } = options;
await table.apply({
  revision: 1,
  reset: true,
  routes: [{ sandboxId, workspaceId, instanceId, state: "running", gateway, tokenEpoch: 0 }],
  revoked: [],
  keySet: JSON.stringify(keySet),
});
const assertions = await AssertionKeys.start({
  directory: stateDirectory,
  issuer,
  clock: systemClock,
  publish: async () => {},
  onProblem: (error) => logger.error({ err: error }, "no key for assertions"),
});
const rules = new ConnectRules({
  issuer,
  routes: table,
  assertions,
  now: Date.now,
  isTrustedPeer: () => false,
  preflight: "answer",
  rootServiceWorkers: false,
  onFault: (error) => logger.error({ err: error }, "a request could not be decided upon"),
});
const metrics = new Metrics();
const accessLog = await openConnectLog({ directory: join(stateDirectory, "access"), now: Date.now, logger });
const observe = (end: ExchangeEnd) => {
  metrics.exchange(end);
  accessLog.write(end);
};
const deadlines = new Deadlines(250);
const upstream = new Upstream({ limits, deadlines, currentRoute: (id) => rules.currentRoute(id) });
const common = { rules, watch: rules, upstream, limits, connectDomain, deadlines, observe };
const http1 = new Http1Front(common);
const http2 = new Http2Front({ ...common, streamLimits: DEFAULT_STREAM_LIMITS });
const listener = createServer({ noDelay: true });
if (options.tls === undefined) {
  const servername = `${sandboxId}.${connectDomain}`;
  listener.on("connection", (socket) => {
    http1.serve(socket, { peerAddress: socket.remoteAddress ?? "", servername, transport: socket });
  });
} else {
  const door = new TlsDoor({
    admission: new Admission(DEFAULT_EDGE_LIMITS),
    limits: DEFAULT_EDGE_LIMITS,
    certificates: certificatesFromFiles({ ...options.tls, domain: connectDomain, setting: "tls", logger }),
    answer: doorRule({ connectDomain, http2: true }),
    onSecure: ({ protocol, socket, ...client }) => (protocol === "h2" ? http2 : http1).serve(socket, client),
    onRefused: ({ reason }) => metrics.refusedAtDoor(reason),
    logger,
  });
  door.listen(listener);
}
listener.listen(port, "127.0.0.1");
