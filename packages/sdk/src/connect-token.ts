// Connect tokens: signed grants to talk HTTP or WebSocket to one port of one sandbox, as users hold them.
import type { CreateConnectTokenResponse, ConnectTokenInfo as WireInfo } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { ConnectDoor } from "./connect-door.ts";
import { sdkError } from "./errors.ts";
import { followWithinOrigin } from "./follow-redirects.ts";
import type { Json } from "./json-value.ts";
import { checkJson } from "./json-value.ts";
import { DEFAULT_TIMEOUT_MS } from "./life-cycle.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";
import { urlWithin } from "./url-within.ts";
import { wholeNumber } from "./wire-values.ts";

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");
/** The greatest number of a field of 32 bits with a sign. */
const MAX_INT32 = 2 ** 31 - 1;
/** The api waits for its proxies, and some more. */
const REVOKE_ATTEMPT_MS = 20_000;

/** How {@link Sandbox.createConnectToken} makes a token. */
export interface ConnectTokenOptions extends CallOptions {
  /**
   * Any JSON value: the app in the sandbox gets it as `X-Verified-User-Data`, and no client can forge it. As ASCII JSON it
   * has fewer than 512 characters. Default: no such header.
   */
  readonly userMetadata?: Json | undefined;
  /** The port of the sandbox that it opens. Default: 8080. */
  readonly port?: number | undefined;
  /** Its life in milliseconds, 1,000 to 86,400,000. Default: one hour. It ends with the sandbox in any case. */
  readonly expiresInMs?: number | undefined;
  /** Its cookies work inside frames of other sites. Default: false. */
  readonly embed?: boolean | undefined;
}

/** What a revocation has come to. */
export interface Revocation {
  /**
   * Proxies that have not confirmed, since they are out of reach: there the token may count until they are back, or it
   * expires. Empty: it counts nowhere any more.
   */
  readonly staleEdges: readonly string[];
}

/** A connect token as it is listed: all but the token itself, which nobody keeps. */
export interface ConnectTokenInfo {
  /** `ct-...` */
  readonly id: string;
  readonly port: number;
  readonly embed: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
}

/**
 * A connect token. Whoever has {@link ConnectToken.token} may use the port until it expires or is revoked: printing,
 * inspecting or serialising this object shows all but that.
 */
export interface ConnectToken {
  /** `ct-...` */
  readonly id: string;
  /** `https://SANDBOX.DOMAIN`, with the port where it is not 443, without a slash at the end. Holds no token. */
  readonly url: string;
  /** Secret. `Authorization: Bearer` takes it; where no header can be set, the query `_connect_token` does. */
  readonly token: string;
  readonly expiresAt: Date;
  /** For people: what of it will surprise. */
  readonly warnings: readonly string[];
  /**
   * Certificates (PEM) that other clients must trust to reach the URL; {@link ConnectToken.fetch} and
   * {@link ConnectToken.webSocket} do by themselves. Undefined where the public authorities vouch for it.
   */
  readonly caPem: string | undefined;
  /**
   * `fetch` to the sandbox, with the token in `Authorization`. A path (`/items?page=2`) is one of the sandbox's. Redirects
   * are followed within the sandbox's own origin; one that leads elsewhere is refused, unless `redirect` is `manual`, since
   * code in a sandbox could have this program ask what only this program reaches. No deadline but that of `init.signal`
   * and of the platform. Otherwise it rejects as `fetch` does, e.g. with `TypeError` when nobody answers.
   *
   * @throws SallyportError `InvalidArgument` with field `path` for a URL elsewhere, with field `init.headers` for an
   * `Authorization` of the caller's own; `FailedPrecondition` for a redirect elsewhere.
   */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /**
   * A WebSocket to the sandbox, with the token in `Authorization`; its `url` holds none. Errors and closing are the
   * socket's events.
   *
   * @throws SallyportError `InvalidArgument` with field `path` for a URL elsewhere.
   */
  webSocket(path: string, protocols?: string | readonly string[]): WebSocket;
  /** Ends it before its time, and the WebSockets that it opened. Resolves when every proxy that can be reached refuses it. */
  revoke(options?: CallOptions): Promise<Revocation>;
  /** Id, url, expiry and warnings. */
  toString(): string;
}

/** Makes one. A lost answer leaves a token that nobody has, and that expires: so the call bears repetition. */
export async function createConnectToken(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  options: ConnectTokenOptions,
): Promise<ConnectToken> {
  const { userMetadata, port, expiresInMs, embed = false } = options;
  if (userMetadata !== undefined) checkJson("userMetadata", userMetadata);
  const request = {
    sandboxId,
    userMetadata,
    port: wholeNumber("port", port, MAX_INT32),
    expiresInMs: wholeNumber("expiresInMs", expiresInMs, Number.MAX_SAFE_INTEGER),
    embed,
  };
  const answer = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.createConnectToken, request, call),
  );
  const door = await scope.waitFor(connections.door(answer.caPem));
  return new ConnectTokenHandle(connections, sandboxId, answer, door);
}

/** Those that have not expired, newest first. */
export async function listConnectTokens(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
): Promise<readonly ConnectTokenInfo[]> {
  const { tokens } = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.listConnectTokens, { sandboxId }, call),
  );
  return tokens.map(toInfo);
}

function toInfo({ tokenId, port, embed, createdAt, expiresAt, revokedAt }: WireInfo): ConnectTokenInfo {
  const times = { createdAt: createdAt ?? new Date(0), expiresAt: expiresAt ?? new Date(0), revokedAt };
  return Object.freeze({ id: tokenId, port, embed, ...times });
}

/** Ends one of a sandbox's tokens, or all that it has so far. */
export async function revokeConnectTokens(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  tokenId?: string,
): Promise<Revocation> {
  const { staleEdges } = await connections.callApi(
    scope,
    ({ sandboxes }, call) =>
      tokenId === undefined
        ? callUnary(sandboxes, sandboxes.revokeConnectTokens, { sandboxId }, call)
        : callUnary(sandboxes, sandboxes.revokeConnectToken, { sandboxId, tokenId }, call),
    { maxAttemptMs: REVOKE_ATTEMPT_MS },
  );
  return Object.freeze({ staleEdges: Object.freeze([...staleEdges]) });
}

class ConnectTokenHandle implements ConnectToken {
  readonly id: string;
  readonly url: string;
  readonly expiresAt: Date;
  readonly warnings: readonly string[];
  readonly #caPem: string | undefined;
  readonly #token: string;
  readonly #connections: Connections;
  readonly #sandboxId: string;
  readonly #door: ConnectDoor;

  constructor(connections: Connections, sandboxId: string, answer: CreateConnectTokenResponse, door: ConnectDoor) {
    this.id = answer.tokenId;
    this.url = answer.url;
    this.expiresAt = answer.expiresAt ?? new Date(0);
    this.warnings = Object.freeze([...answer.warnings]);
    this.#caPem = answer.caPem === "" ? undefined : answer.caPem;
    this.#token = answer.token;
    this.#connections = connections;
    this.#sandboxId = sandboxId;
    this.#door = door;
  }

  // An accessor of the class: no copy, dump or serialisation of the object has it.
  get token(): string {
    return this.#token;
  }

  get caPem(): string | undefined {
    return this.#caPem;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    // Nothing but the sandbox gets the token: what leads elsewhere is refused, not followed.
    const url = urlWithin(this.url, path);
    const headers = new Headers(init.headers);
    if (headers.has("authorization")) {
      throw sdkError("InvalidArgument", "init.headers: Authorization is the connect token's place", {
        field: "init.headers",
        hint: "let the app take its own credentials from another header",
      });
    }
    headers.set("authorization", `Bearer ${this.#token}`);
    return followWithinOrigin((next, request) => this.#door.fetch(next, request), url, { ...init, headers });
  }

  webSocket(path: string, protocols: string | readonly string[] = []): WebSocket {
    const url = urlWithin(this.url, path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const headers = { authorization: `Bearer ${this.#token}` };
    return this.#door.webSocket(url, typeof protocols === "string" ? [protocols] : protocols, headers);
  }

  async revoke(options: CallOptions = {}): Promise<Revocation> {
    const scope = scopeOf("ConnectToken.revoke", options, this.#connections, DEFAULT_TIMEOUT_MS);
    return revokeConnectTokens(this.#connections, scope, this.#sandboxId, this.id);
  }

  toJSON(): object {
    const { id, url, expiresAt, warnings } = this;
    return { id, url, expiresAt, warnings };
  }

  toString(): string {
    return `ConnectToken ${JSON.stringify(this)}`;
  }

  [INSPECT](): string {
    return this.toString();
  }
}
