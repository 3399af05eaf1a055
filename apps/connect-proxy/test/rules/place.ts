// A platform in small for the rules: real tokens, a real route table, a clock that stands still, requests as facts.

import type { ConnectTokenRequest } from "@sallyport/connect-token/issue";
import { generateSigningKey, issueConnectToken, SigningKey } from "@sallyport/connect-token/issue";
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { Route } from "@sallyport/dataplane/routes";
import { RouteTable } from "@sallyport/dataplane/routes";
import type { Forward, LocalAnswer, RequestFacts } from "../../src/exchange.ts";
import { connectionOptions, endToEnd } from "../../src/head/connection-options.ts";
import type { RulesOptions } from "../../src/rules.ts";
import { ConnectRules } from "../../src/rules.ts";

export const PLATFORM_ID = "pf-01arz3ndektsv4rrffq69g5fav";
export const ISSUER = `sallyport:${PLATFORM_ID}`;
export const SANDBOX = "sb-01arz3ndektsv4rrffq69g5fav";
export const OTHER = "sb-01arz3ndektsv4rrffq69g5fb0";
export const NOWHERE = "sb-01arz3ndektsv4rrffq69g5fb1";
export const WORKSPACE = "ws-01arz3ndektsv4rrffq69g5fav";
export const HOST = `${SANDBOX}.localhost:7443`;
export const START_MS = 1_790_000_000_000;

/** An app's assertions are none of the rules' business: here each is the grant's own id. */
export const ASSERTIONS: RulesOptions["assertions"] = { assertionFor: (grant) => `assertion of ${grant.id}` };

export class Place {
  nowMs = START_MS;
  revision = 0;
  readonly faults: unknown[] = [];
  readonly routes: RouteTable;
  readonly key: SigningKey;

  private constructor(key: SigningKey) {
    this.key = key;
    this.routes = new RouteTable({ platformId: PLATFORM_ID, now: () => this.nowMs });
  }

  /** With two sandboxes that run, of two workspaces. */
  static async start(): Promise<Place> {
    const place = new Place(await SigningKey.import(await generateSigningKey("connect-token")));
    await place.apply([route(SANDBOX), route(OTHER, { workspaceId: "ws-01arz3ndektsv4rrffq69g5fb0" })]);
    return place;
  }

  /** Tells the edge something new. */
  async apply(routes: readonly Route[], revoked: readonly string[] = []): Promise<void> {
    this.revision += 1;
    await this.routes.apply({
      revision: this.revision,
      reset: false,
      routes,
      revoked: revoked.map((tokenId) => ({ tokenId, sandboxId: SANDBOX, expiresAtMs: this.nowMs + 86_400_000 })),
      keySet: JSON.stringify({ keys: [this.key.publicJwk] }),
    });
  }

  rules(options: Partial<RulesOptions> = {}): ConnectRules {
    return new ConnectRules({
      issuer: ISSUER,
      routes: this.routes,
      assertions: ASSERTIONS,
      now: () => this.nowMs,
      isTrustedPeer: () => false,
      preflight: "answer",
      rootServiceWorkers: false,
      onFault: (error) => this.faults.push(error),
      ...options,
    });
  }

  async token(request: Partial<ConnectTokenRequest> = {}): Promise<string> {
    const whole = { id: "ct-1", sandboxId: SANDBOX, workspaceId: WORKSPACE, epoch: 3, ...request };
    return (await issueConnectToken(whole, { issuer: ISSUER, key: this.key, now: () => this.nowMs })).token;
  }
}

export function route(sandboxId: string, changes: Partial<Route> = {}): Route {
  return {
    sandboxId,
    workspaceId: WORKSPACE,
    instanceId: `in-${sandboxId.slice(3)}`,
    state: "running",
    gateway: "/run/gateway.sock",
    tokenEpoch: 3,
    ...changes,
  };
}

export interface Asked extends Partial<Omit<RequestFacts, "headers" | "endToEnd">> {
  /** Beside `Host`: `Name: value`. */
  readonly lines?: readonly string[];
}

/** A request as the front hands it over. */
export function facts({ lines = [], ...changes }: Asked = {}): RequestFacts {
  const host = changes.host ?? HOST;
  const headers: RawHeader[] = [["Host", host], ...lines.map(headerOf)];
  const connection = headers.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  const options = connectionOptions(connection);
  if (options === undefined) throw new Error("no Connection that a front lets pass");
  return {
    method: "GET",
    target: "/",
    sandboxId: SANDBOX,
    host,
    headers,
    endToEnd: endToEnd(headers, options),
    peerAddress: "198.51.100.7",
    scheme: "https",
    isWebSocket: false,
    requestId: "rq-1",
    ...changes,
  };
}

function headerOf(line: string): RawHeader {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

export const bearer = (token: string): string => `Authorization: Bearer ${token}`;
export const cookie = (token: string, name = "__Host-_connect_token"): string => `Cookie: ${name}=${token}`;

/** The answer of a request that must not go on. */
export async function answered(rules: ConnectRules, asked: Asked): Promise<LocalAnswer> {
  const decision = await rules.decide(facts(asked));
  if (decision.kind !== "answer") throw new Error("it went on to the app");
  return decision.answer;
}

export async function codeOf(rules: ConnectRules, asked: Asked): Promise<string> {
  return (await answered(rules, asked)).code;
}

/** What becomes of a request that must go on. */
export async function forwarded(rules: ConnectRules, asked: Asked): Promise<Forward> {
  const decision = await rules.decide(facts(asked));
  if (decision.kind !== "forward") throw new Error(`it was answered: ${decision.answer.code}`);
  return decision;
}

/** Values of a header, by its name in any case. */
export function valuesOf(headers: readonly RawHeader[], name: string): string[] {
  return headers.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}
