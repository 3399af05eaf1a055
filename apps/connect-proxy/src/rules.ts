// The rules of the proxy in their order: token, sandbox, from where, on whose behalf, and what is changed on the way in and
// out.

import type { Carrier, ConnectGrant, KeySet, RawHeader, TakenToken } from "@sallyport/connect-token/verify";
import {
  ConnectTokenVerifier,
  setTokenCookies,
  takeConnectToken,
  takeFromQuery,
} from "@sallyport/connect-token/verify";
import type { TableChange } from "@sallyport/dataplane/routes";
import { mayCome } from "@sallyport/dataplane/routes";
import { answerHeaders, answerLines } from "./answer-rules.ts";
import type { Granted, Judges, Refused, Routes } from "./authenticate.ts";
import { authenticate, grantProblem, refusalOf, refusedFor } from "./authenticate.ts";
import type { BrowserSigns, Standing } from "./browser.ts";
import { isDocumentLoad, isRootServiceWorker, ownOrigin, readSigns, standingOf } from "./browser.ts";
import { clientAddress } from "./client-address.ts";
import type {
  AnswerRules,
  Decision,
  Forward,
  GrantWatch,
  LocalAnswer,
  RefusalAbout,
  RefusalCode,
  RequestFacts,
  Route,
  Rules,
} from "./exchange.ts";
import type { Noted } from "./forward.ts";
import { forwardOf } from "./forward.ts";
import type { AnswerHead } from "./head/answer-head.ts";
import type { HeaderLines } from "./head/write-head.ts";
import type { PreflightRule } from "./preflight.ts";
import { preflightAnswer } from "./preflight.ts";
import { refusal } from "./refusals.ts";

/** What signs assertions. */
interface Assertions {
  /** For a grant, at once where one is at hand; undefined while no key for them is published. */
  assertionFor(grant: ConnectGrant): string | undefined | Promise<string | undefined>;
}

export interface RulesOptions {
  /** The platform whose tokens count, as it stands in them. */
  readonly issuer: string;
  readonly routes: Routes & { keys(): KeySet };
  readonly assertions: Assertions;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Whether an address is of the operator's proxies, which are believed about where a request comes from. */
  readonly isTrustedPeer: (address: string) => boolean;
  readonly preflight: PreflightRule;
  /** Whether an app may have a service worker for its whole host. */
  readonly rootServiceWorkers: boolean;
  /** Default: `DEFAULT_CACHED_TOKENS` of @sallyport/connect-token. */
  readonly maxCachedTokens?: number | undefined;
  /** A fault of ours, for the log: the client gets `InternalError`. */
  readonly onFault: (error: unknown, facts: RequestFacts) => void;
}

/** A token that may count, and what its way here calls for once it is proven. */
interface Carried {
  readonly taken: TakenToken;
  readonly token: string;
  readonly carrier: Carrier;
  /** Without the token. */
  readonly target: string;
  /** Undefined where nothing came that a browser adds by itself, or shows to scripts. */
  readonly browser: { readonly signs: BrowserSigns; readonly standing: Standing } | undefined;
  readonly noted: Noted | undefined;
}

export class ConnectRules implements Rules, GrantWatch {
  readonly #options: RulesOptions;
  readonly #verifier: ConnectTokenVerifier;
  readonly #judges: Judges;

  constructor(options: RulesOptions) {
    const { issuer, maxCachedTokens, now, routes } = options;
    this.#options = options;
    this.#verifier = new ConnectTokenVerifier({
      issuer,
      now,
      maxCachedTokens,
      keys: () => routes.keys(),
      isRevoked: (tokenId, sandboxId) => routes.isRevoked(tokenId, sandboxId),
      // Of a sandbox that is not known no epoch is: whoever has a token for it is told so, and gets nowhere.
      isCurrentEpoch: (sandboxId, epoch) =>
        routes.get(sandboxId) === undefined || routes.isCurrentEpoch(sandboxId, epoch),
    });
    this.#judges = { verifier: this.#verifier, routes, now };
  }

  /** How many tokens are remembered. */
  get rememberedTokens(): number {
    return this.#verifier.size;
  }

  decide(facts: RequestFacts): Decision | Promise<Decision> {
    try {
      const decision = this.#decide(facts);
      return decision instanceof Promise ? decision.catch((error: unknown) => this.#failed(error, facts)) : decision;
    } catch (error) {
      return this.#failed(error, facts);
    }
  }

  answerHeaders({ answer }: Forward, status: number, headers: readonly RawHeader[]): readonly RawHeader[] {
    return answerHeaders(answer, status, headers, this.#options);
  }

  answerLines({ answer }: Forward, head: AnswerHead): HeaderLines {
    return answerLines(answer, head, this.#options);
  }

  refuse(code: RefusalCode, about: RefusalAbout): LocalAnswer {
    return refusal(code, about);
  }

  grantProblem(grant: ConnectGrant): string | undefined {
    return grantProblem(grant, this.#judges);
  }

  currentRoute(sandboxId: string): Route | undefined {
    return this.#options.routes.get(sandboxId);
  }

  onChange(listener: (change: TableChange) => void): Disposable {
    return this.#options.routes.onChange(listener);
  }

  #decide(facts: RequestFacts): Decision | Promise<Decision> {
    const carried = this.#carriedBy(facts);
    if ("kind" in carried) return carried;
    const outcome = authenticate(carried.token, facts, this.#judges);
    return outcome instanceof Promise
      ? outcome.then((settled) => this.#admit(facts, carried, settled))
      : this.#admit(facts, carried, outcome);
  }

  /** What field lines carry depends on them alone, and is made out once for them. A refusal is this request's own. */
  #carriedBy(facts: RequestFacts): Carried | Decision {
    const { notes, target } = facts;
    // Nobody else writes there.
    const noted = notes?.carried as Noted | undefined;
    // A token in the query comes before one in a cookie.
    if (noted === undefined || takeFromQuery(target).rest !== target) return this.#take(facts);
    const { carrier, signs, taken, token } = noted;
    if (signs === undefined) return { taken, token, carrier, target, browser: undefined, noted };
    return this.#standing(facts, { taken, token, carrier, target, noted }, signs);
  }

  /** The token, if there is one and it may count here; else the answer. */
  #take(facts: RequestFacts): Carried | Decision {
    let taken: TakenToken;
    try {
      taken = takeConnectToken(facts.target, facts.endToEnd);
    } catch (error) {
      return this.#refused(refusedFor(error).refused, facts);
    }
    const { carrier, target, token } = taken;
    if (token === undefined || carrier === undefined) {
      const preflight = this.#options.preflight === "answer" ? preflightAnswer(facts) : undefined;
      return preflight === undefined ? this.#refused("NoToken", facts) : { kind: "answer", answer: preflight };
    }
    const signs = carrier === "authorization" ? undefined : readSigns(facts.headers);
    const way = { taken, token, carrier, target, noted: undefined };
    const carried = signs === undefined ? { ...way, browser: undefined } : this.#standing(facts, way, signs);
    if (facts.notes !== undefined && carrier !== "query" && target === facts.target && !("kind" in carried)) {
      facts.notes.carried = { taken, token, carrier, signs, made: undefined } satisfies Noted;
    }
    return carried;
  }

  #standing(facts: RequestFacts, way: Omit<Carried, "browser">, signs: BrowserSigns): Carried | Decision {
    const standing = standingOf(facts, signs);
    // Before the token is looked at, so that another site cannot find out whether a person's cookie is good.
    if (way.carrier === "cookie" && standing === "foreign") return this.#refused("ForeignOrigin", facts);
    return { ...way, browser: { signs, standing } };
  }

  #admit(facts: RequestFacts, carried: Carried, outcome: Granted | Refused): Decision | Promise<Decision> {
    if ("refused" in outcome) return this.#refused(outcome.refused, facts);
    const { grant, route } = outcome;
    // The token comes first: to strangers a sandbox that not everybody may use looks like any other.
    if (route.inbound !== undefined && !mayCome(route, clientAddress(facts, this.#options.isTrustedPeer))) {
      return this.#refused("AddressNotAllowed", facts);
    }
    const { browser, carrier, target } = carried;
    // `;` parts a query for some servers; and a path is kept in logs.
    if (target.length >= carried.token.length && target.includes(carried.token))
      return this.#refused("MisplacedToken", facts);
    let setCookies = NO_COOKIES;
    if (browser !== undefined) {
      const { signs, standing } = browser;
      if (standing === "frame" && !grant.embed) return this.#refused("NotEmbeddable", facts);
      if (!this.#options.rootServiceWorkers && isRootServiceWorker(facts, signs)) {
        return this.#refused("RootServiceWorker", facts);
      }
      if (carrier === "query") {
        // Another site's request sets none: it would exchange, unseen, as whom a person is known here.
        if (standing !== "foreign") setCookies = this.#cookies(grant, carried);
        if (isDocumentLoad(signs)) {
          return standing === "foreign"
            ? this.#refused("ForeignOrigin", facts)
            : { kind: "answer", answer: withoutToken(facts, target, setCookies) };
        }
      }
    }
    const answer = { setCookies, carrier, requestId: facts.requestId };
    const assertion = this.#options.assertions.assertionFor(grant);
    if (!(assertion instanceof Promise)) return this.#forward(facts, carried, outcome, answer, assertion);
    // What was revoked meanwhile does not go on, and what has expired is not asserted.
    const lost = () => {
      const problem = grantProblem(grant, this.#judges);
      return problem === undefined ? undefined : this.#refused(refusalOf(problem), facts);
    };
    return assertion.then(
      (text) => lost() ?? this.#forward(facts, carried, outcome, answer, text),
      (error: unknown) => {
        const refused = lost();
        if (refused !== undefined) return refused;
        throw error;
      },
    );
  }

  #forward(
    facts: RequestFacts,
    { noted, taken, target, token }: Carried,
    { grant, route }: Granted,
    answer: AnswerRules,
    assertion: string | undefined,
  ): Forward {
    const isTrustedPeer = this.#options.isTrustedPeer(facts.peerAddress);
    const forApp = { headers: taken.headers, grant, token, assertion, isTrustedPeer };
    return forwardOf(facts, forApp, { route, target, answer }, noted);
  }

  #cookies({ embed, expiresAtMs }: ConnectGrant, { taken, token }: Carried): readonly string[] {
    const { cookies, name = "" } = taken;
    return setTokenCookies({ name, token, cookies, embed, maxAgeMs: expiresAtMs - this.#options.now() });
  }

  #refused(code: RefusalCode, facts: RequestFacts): Decision {
    return { kind: "answer", answer: refusal(code, facts) };
  }

  #failed(error: unknown, facts: RequestFacts): Decision {
    this.#options.onFault(error, facts);
    return this.#refused("InternalError", facts);
  }
}

const NO_COOKIES: readonly string[] = [];

/**
 * To the same address without the token, which is in cookies from now on: the page's scripts never see it. With its host,
 * since a path that begins with `//` would else name another one. 307 lets a form be sent again (RFC 9110, section 15.4.8).
 */
function withoutToken(facts: RequestFacts, target: string, cookies: readonly string[]): LocalAnswer {
  const path = target.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character));
  const headers: RawHeader[] = [
    ["Location", ownOrigin(facts.host) + path],
    ...cookies.map((cookie) => ["Set-Cookie", cookie] as const),
    ["Referrer-Policy", "no-referrer"],
    ["Cache-Control", "no-store"],
    ["X-Request-Id", facts.requestId],
  ];
  const status = facts.method === "GET" || facts.method === "HEAD" ? 303 : 307;
  return { status, headers, body: Buffer.alloc(0), code: "TokenTaken" };
}
