// A proxy that speaks HTTP/2 alone: the real front, rules and way into a sandbox, behind TLS, before an app of the test's.
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { createSecureContext } from "node:tls";
import { silentLogger } from "@sallyport/appkit/logger";
import { Admission, DEFAULT_EDGE_LIMITS, TLS_SETTINGS, TlsDoor } from "@sallyport/edge";
import { makeAuthority } from "@sallyport/testkit/certificates";
import type { GatewayDoor } from "@sallyport/testkit/gateway-door";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { doorRule } from "../../src/connect-hosts.ts";
import { Deadlines } from "../../src/deadlines.ts";
import type { ExchangeEnd } from "../../src/exchange.ts";
import type { StreamLimits } from "../../src/h2/limits.ts";
import { DEFAULT_STREAM_LIMITS } from "../../src/h2/limits.ts";
import { Http2Front } from "../../src/http2.ts";
import type { CoreLimits } from "../../src/limits.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import type { Pairs } from "../h2-peer.ts";
import { RawH2Peer } from "../h2-peer.ts";
import { OTHER, Place, route, SANDBOX } from "../rules/place.ts";

export const HOST = `${SANDBOX}.localhost`;
export const OTHER_HOST = `${OTHER}.localhost`;
const PORT = 8080;
const TICK_MS = 10;

export interface WorldOptions {
  readonly app: RequestListener;
  readonly limits?: Partial<CoreLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
}

export interface World extends AsyncDisposable {
  readonly front: Http2Front;
  readonly door: GatewayDoor;
  /** Of the token "ct-1". */
  readonly token: string;
  /** Another token. */
  issue(expiresInMs: number): Promise<string>;
  /** Takes the token back. */
  revoke(): Promise<void>;
  /** Every exchange that is over. */
  readonly ends: readonly ExchangeEnd[];
  /** Resolves with the next exchange that is over, for which this holds; of past ones too. */
  ended(wanted: (end: ExchangeEnd) => boolean): Promise<ExchangeEnd>;
  /** A client that nobody here wrote. */
  client(): Promise<ClientHttp2Session>;
  /** A client that says every frame itself. */
  peer(settings?: Buffer): Promise<RawH2Peer>;
  /** The same, and nothing said yet. */
  silentPeer(): Promise<RawH2Peer>;
  /** Where it listens, and what to trust there. */
  readonly port: number;
  readonly ca: string;
  /** The head of a request with a good token. */
  head(changes?: Readonly<Record<string, string>>): Pairs;
}

export async function startWorld({ app, limits = {}, streamLimits = {} }: WorldOptions): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const place = await Place.start();
  place.nowMs = Date.now(); // what the front compares with the ends of tokens
  const door = stack.use(await startGatewayDoor());
  const server = await listen(createHttpServer({ maxHeaderSize: 65_536 }, app));
  stack.defer(() => closeServer(server));
  door.lead(route(SANDBOX).instanceId, PORT, { loopbackPort: portOf(server) });
  await place.apply([route(SANDBOX, { gateway: door.path })]);

  const authority = await makeAuthority();
  const { cert, key } = await authority.issue([HOST, OTHER_HOST]);
  const deadlines = stack.use(new Deadlines(TICK_MS));
  const all = { ...DEFAULT_LIMITS, ...limits };
  const rules = place.rules();
  const upstream = stack.use(
    new Upstream({ limits: all, deadlines, currentRoute: (sandboxId) => rules.currentRoute(sandboxId) }),
  );
  const ends: ExchangeEnd[] = [];
  const waiting = new Set<() => void>();
  const front = stack.use(
    new Http2Front({
      rules,
      watch: rules,
      upstream,
      deadlines,
      limits: all,
      streamLimits: { ...DEFAULT_STREAM_LIMITS, ...streamLimits },
      connectDomain: "localhost",
      observe: (end) => {
        ends.push(end);
        for (const look of waiting) look();
      },
    }),
  );
  const context = createSecureContext({ cert, key, ...TLS_SETTINGS });
  const certificates = {
    peek: () => context,
    contextFor: async () => context,
    [Symbol.asyncDispose]: async () => {},
  };
  const tlsDoor = new TlsDoor({
    admission: new Admission(DEFAULT_EDGE_LIMITS),
    limits: DEFAULT_EDGE_LIMITS,
    certificates,
    answer: doorRule({ connectDomain: "localhost", http2: true }),
    onSecure: ({ socket, ...client }) => front.serve(socket, client),
    onRefused: () => {},
    logger: silentLogger,
  });
  const sockets = new Set<Socket>();
  const listener = await listen(createServer((socket) => sockets.add(socket)));
  stack.defer(() => {
    for (const socket of sockets) socket.destroy(); // whatever a test has left
    return closeServer(listener);
  });
  tlsDoor.listen(listener);
  const port = portOf(listener);
  const token = await place.token();
  const running = stack.move();
  return {
    front,
    door,
    token,
    issue: (expiresInMs) => place.token({ id: "ct-2", expiresInMs }),
    revoke: () => place.apply([], ["ct-1"]),
    ends,
    async ended(wanted) {
      for (;;) {
        const found = ends.find(wanted);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
    async client() {
      const session = connect(`https://${HOST}:${port}`, {
        ca: authority.pem,
        lookup: (_name, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]),
      });
      running.defer(() => session.destroy());
      await once(session, "connect");
      return session;
    },
    async peer(settings) {
      const options = { port, servername: HOST, ca: authority.pem };
      return running.use(await RawH2Peer.connect(settings === undefined ? options : { ...options, settings }));
    },
    async silentPeer() {
      return running.use(await RawH2Peer.silent({ port, servername: HOST, ca: authority.pem }));
    },
    port,
    ca: authority.pem,
    head: (changes = {}) => {
      const fields = { ":method": "GET", ":scheme": "https", ":path": "/", ":authority": HOST };
      return Object.entries({ ...fields, authorization: `Bearer ${token}`, ...changes });
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function listen(server: Server): Promise<Server> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: { address(): string | AddressInfo | null }): number {
  return (server.address() as AddressInfo).port;
}

async function closeServer(
  server: { close(): void; closeAllConnections?: () => void } & NodeJS.EventEmitter,
): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections?.();
  await closed;
}
