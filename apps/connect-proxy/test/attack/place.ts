// A proxy with its surroundings: what the api tells it, two sandboxes of two workspaces behind a gateway's door, tokens.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectTokenRequest } from "@sallyport/connect-token/issue";
import { generateSigningKey, issueConnectToken, SigningKey } from "@sallyport/connect-token/issue";
import { ASSERTION_HEADER } from "@sallyport/connect-token/verify";
import type { Route } from "@sallyport/contracts";
import { RouteState } from "@sallyport/contracts";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { startProxy } from "./proxy.ts";
import { RawApp } from "./raw-app.ts";
import type { Door } from "./raw-client.ts";
import { say } from "./raw-client.ts";
import { valuesOf } from "./strict-http.ts";

export const PLATFORM_ID = "01jzp1atf0rm0000000000000a";
/** Of the app in a sandbox. */
const PORT = 8_080;
export const DOMAIN = "localhost";
/** Of every token unless the test says otherwise. */
export const USER_METADATA = { user_id: "the-real-one" };

/** Requests until one comes with an assertion. */
const MAX_TRIES = 100;

/** A sandbox with the app in it. */
export interface Inhabited {
  readonly id: string;
  readonly workspaceId: string;
  readonly instanceId: string;
  readonly app: RawApp;
  /** As the handshake names it, without a port. */
  readonly name: string;
  /** As `Host` has it. */
  readonly host: string;
}

/** An id of its kind that nobody else has. */
export function newId(prefix: string): string {
  const letters = "0123456789abcdefghjkmnpqrstvwxyz";
  return `${prefix}-01${Array.from(randomBytes(24), (byte) => letters[byte % 32]).join("")}`;
}

/** The proxy, over TLS on a free port, and all it needs. */
export class Place implements AsyncDisposable, Door {
  readonly port: number;
  readonly ca: string;
  /** A folder that holds all that the proxy keeps. */
  readonly home: string;
  readonly edge: FakeEdgeService;
  readonly key: SigningKey;
  /** The private half, for tokens that no issuer writes. */
  readonly secret: { readonly x: string; readonly d: string };
  readonly a: Inhabited;
  readonly b: Inhabited;
  readonly #stack: AsyncDisposableStack;
  readonly #gateway: string;

  private constructor(
    parts: Omit<Place, "token" | "route" | "fill" | "bearer" | typeof Symbol.asyncDispose>,
    gateway: string,
    stack: AsyncDisposableStack,
  ) {
    this.port = parts.port;
    this.ca = parts.ca;
    this.home = parts.home;
    this.edge = parts.edge;
    this.key = parts.key;
    this.secret = parts.secret;
    this.a = parts.a;
    this.b = parts.b;
    this.#gateway = gateway;
    this.#stack = stack;
  }

  /** Settings are environment variables of the proxy's. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Place> {
    await using stack = new AsyncDisposableStack();
    const home = await mkdtemp(join(tmpdir(), "cp-"));
    stack.defer(() => rm(home, { recursive: true, force: true }));
    const authority = await makeAuthority();
    const apps = [stack.use(await RawApp.start("app-a")), stack.use(await RawApp.start("app-b"))] as const;
    const bare = apps.map((app) => ({ id: newId("sb"), workspaceId: newId("ws"), instanceId: newId("in"), app }));
    const door = stack.use(await startGatewayDoor());
    for (const { instanceId, app } of bare) door.lead(instanceId, PORT, { loopbackPort: app.port });
    const edge = new FakeEdgeService({ platformId: PLATFORM_ID, socketPath: join(home, "edge.sock"), authority });
    stack.use(edge);
    const jwk = await generateSigningKey("connect-token");
    const key = await SigningKey.import(jwk);
    const routes = bare.map((one) => routeOf(one, door.path));
    edge.tell({ routes, keySet: JSON.stringify({ keys: [key.publicJwk] }) });
    await edge.start();
    const proxy = stack.use(
      await startProxy({
        home,
        gateway: door.path,
        edge: edge.socketPath,
        domain: DOMAIN,
        platformId: PLATFORM_ID,
        settings,
      }),
    );
    await edge.settled();
    const [a, b] = bare.map((one) => ({
      ...one,
      name: `${one.id}.${DOMAIN}`,
      host: `${one.id}.${DOMAIN}:${proxy.port}`,
    }));
    if (a === undefined || b === undefined) throw new Error("two sandboxes were made");
    const parts = { home, port: proxy.port, ca: authority.pem, edge, key, secret: jwk, a, b };
    const place = new Place(parts, door.path, stack.move());
    await place.#assertionsBegin();
    return place;
  }

  /** A good token of a sandbox's, unless something of it is bent. */
  async token(
    sandbox: Pick<Inhabited, "id" | "workspaceId">,
    changes: Partial<ConnectTokenRequest> = {},
  ): Promise<string> {
    const issuer = { issuer: `sallyport:${PLATFORM_ID}`, key: this.key, now: () => Date.now() };
    const request = { id: newId("ct"), sandboxId: sandbox.id, workspaceId: sandbox.workspaceId, epoch: 0 };
    const { token } = await issueConnectToken({ ...request, userMetadata: USER_METADATA, ...changes }, issuer);
    return token;
  }

  /** A sandbox's route, as the api would tell it. */
  route(sandbox: Inhabited, changes: Partial<Route> = {}): Route {
    return { ...routeOf(sandbox, this.#gateway), ...changes };
  }

  /** Bytes with their placeholders filled in: {H} the host, {N} its name, {O} the other's, {A} a token's header, {T} a token. */
  fill(bytes: string, sandbox: Inhabited, token: string): string {
    const other = sandbox === this.a ? this.b : this.a;
    const values: Readonly<Record<string, string>> = {
      H: sandbox.host,
      N: sandbox.name,
      O: other.host,
      A: `Authorization: Bearer ${token}`,
      T: token,
    };
    return bytes.replaceAll(/\{([HNOAT])\}/g, (whole, letter: string) => values[letter] ?? whole);
  }

  /** A key that was published a moment ago is used a moment later. */
  async #assertionsBegin(): Promise<void> {
    await this.edge.published();
    const { app } = this.a;
    const token = await this.token(this.a);
    for (let tries = 0; ; tries += 1) {
      const client = await say(
        this,
        this.a.name,
        this.fill("GET / HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", this.a, token),
      );
      if (app.requests.some((request) => valuesOf(request, ASSERTION_HEADER).length > 0)) break;
      if (tries === MAX_TRIES) throw new Error(`no assertions: ${client.received.toString("latin1")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    app.forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function routeOf(sandbox: Pick<Inhabited, "id" | "workspaceId" | "instanceId">, gateway: string): Route {
  return {
    sandboxId: sandbox.id,
    workspaceId: sandbox.workspaceId,
    instanceId: sandbox.instanceId,
    state: RouteState.RUNNING,
    gateway,
    tokenEpoch: 0,
    tunnels: [],
  };
}
