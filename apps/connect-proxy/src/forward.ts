// A request that goes to the app, put together; of one whose field lines came before, only what is new about it.
import type { ConnectGrant, RawHeader, TakenToken } from "@sallyport/connect-token/verify";
import type { BrowserSigns } from "./browser.ts";
import type { AnswerRules, Forward, RequestFacts, Route } from "./exchange.ts";
import type { ForApp, LinesForApp } from "./request-headers.ts";
import { requestHeaders, requestLines } from "./request-headers.ts";

/** What field lines carry, whatever request line stands before them. */
export interface Noted {
  readonly taken: TakenToken;
  readonly token: string;
  readonly carrier: "authorization" | "cookie";
  /** Undefined where nothing came that a browser adds by itself. */
  readonly signs: BrowserSigns | undefined;
  /** What the app was told with them last. */
  made: Made | undefined;
}

/** Lines for the app, and all that they were made of beside the field lines themselves. */
interface Made {
  readonly lines: LinesForApp;
  readonly grant: ConnectGrant;
  readonly assertion: string | undefined;
  readonly peerAddress: string;
}

type Way = Pick<Forward, "route" | "target" | "answer">;

/** `noted`: of its field lines, where they came before. Throws `TypeError` for headers that must not be written. */
export function forwardOf(facts: RequestFacts, forApp: ForApp, way: Way, noted: Noted | undefined): Forward {
  const { grant } = forApp;
  if (noted === undefined) return { kind: "forward", grant, ...way, headers: requestHeaders(facts, forApp) };
  const { after, before } = linesOf(facts, forApp, noted);
  return new KnownForward(facts, forApp, way, before + facts.requestId + after);
}

function linesOf(facts: RequestFacts, forApp: ForApp, noted: Noted): LinesForApp {
  const { assertion, grant } = forApp;
  const { peerAddress } = facts;
  const { made } = noted;
  if (made?.grant === grant && made.assertion === assertion && made.peerAddress === peerAddress) return made.lines;
  const lines = requestLines(facts, forApp);
  noted.made = { lines, grant, assertion, peerAddress };
  return lines;
}

/** One whose lines are at hand: who wants the headers one by one has them made. */
class KnownForward implements Forward {
  readonly kind = "forward";
  readonly grant: ConnectGrant;
  readonly route: Route;
  readonly target: string;
  readonly answer: AnswerRules;
  readonly lines: string;
  readonly #facts: RequestFacts;
  readonly #forApp: ForApp;

  constructor(facts: RequestFacts, forApp: ForApp, { answer, route, target }: Way, lines: string) {
    this.grant = forApp.grant;
    this.route = route;
    this.target = target;
    this.answer = answer;
    this.lines = lines;
    this.#facts = facts;
    this.#forApp = forApp;
  }

  get headers(): readonly RawHeader[] {
    return requestHeaders(this.#facts, this.#forApp);
  }
}
