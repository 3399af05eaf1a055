// What the parts of the proxy tell each other about one exchange: what came, what is done with it, how it ended.
import type { Carrier, ConnectGrant, RawHeader } from "@sallyport/connect-token/verify";
import type { Route, TableChange } from "@sallyport/dataplane/routes";
import type { AnswerHead } from "./head/answer-head.ts";
import type { HeaderLines } from "./head/write-head.ts";

export type { Route } from "@sallyport/dataplane/routes";

/** Room for what the rules make of the field lines of a request's head by themselves. */
export interface HeadNotes {
  carried: object | undefined;
}

/** A request whose head is read and sound. Texts are latin1, as they came. */
export interface RequestFacts {
  readonly method: string;
  /** Origin form (RFC 9112, section 3.2.1), or `*` of an OPTIONS: an absolute form is reduced to it. */
  readonly target: string;
  /** From the host, in lower case. */
  readonly sandboxId: string;
  /** As it came, with its port if it has one. */
  readonly host: string;
  /** All of them, in their order: for deciding. */
  readonly headers: readonly RawHeader[];
  /**
   * Those that may go on to the app: without framing (Content-Length, Transfer-Encoding, Trailer, Expect), hop-by-hop
   * headers and what `Connection` names. Rules start from these: a header that they add is out of a `Connection`'s reach.
   */
  readonly endToEnd: readonly RawHeader[];
  /** Without port. */
  readonly peerAddress: string;
  readonly scheme: "https";
  /** A complete handshake (RFC 6455, section 4.2.1). Any other `Upgrade` is as good as not there. */
  readonly isWebSocket: boolean;
  readonly requestId: string;
  /** The same for requests whose field lines have the very same bytes; method and target may differ. */
  readonly notes?: HeadNotes | undefined;
}

/** What becomes of a request. */
export type Decision = Forward | Answered;

/** It goes to the app. */
export interface Forward {
  readonly kind: "forward";
  readonly grant: ConnectGrant;
  readonly route: Route;
  /** Without the token. */
  readonly target: string;
  /** For the app, complete but for framing and `Connection`: `Host` and the WebSocket handshake's own stay. */
  readonly headers: readonly RawHeader[];
  /** The same as lines, checked, where they are at hand. */
  readonly lines?: string | undefined;
  readonly answer: AnswerRules;
}

/** The proxy answers itself. */
interface Answered {
  readonly kind: "answer";
  readonly answer: LocalAnswer;
}

/** What `answerHeaders` has to know of a request. The rules alone read it. */
export interface AnswerRules {
  /** Values of Set-Cookie that the proxy adds. */
  readonly setCookies: readonly string[];
  /** What brought the token. */
  readonly carrier: Carrier;
  readonly requestId: string;
}

/** An answer of the proxy's own. Framing, Date and Connection are added to it. */
export interface LocalAnswer {
  readonly status: number;
  readonly headers: readonly RawHeader[];
  readonly body: Buffer;
  /** Stable, for logs and metrics. */
  readonly code: string;
  /** The connection ends with it. */
  readonly close?: boolean | undefined;
}

/** What the rules refuse a request for: who asks, and on whose behalf. */
type RuleRefusal =
  /** 400: two tokens where one counts. */
  | "AmbiguousToken"
  /** 400: the token stands in the path, where the app would see it. */
  | "MisplacedToken"
  /** 401: no token. */
  | "NoToken"
  /** 401: none of this platform's, or none that can be judged here. */
  | "BadToken"
  /** 401: it was good once. */
  | "TokenExpired"
  /** 401 */
  | "TokenRevoked"
  /** 403: the token is good for another sandbox. */
  | "WrongSandbox"
  /** 403: the client's address is not among those that may come to the sandbox. */
  | "AddressNotAllowed"
  /** 403: another site asks, in the name of a cookie. */
  | "ForeignOrigin"
  /** 403: another site shows the sandbox in a frame, and the token is not made for that. */
  | "NotEmbeddable"
  /** 403: a service worker for the whole host. */
  | "RootServiceWorker";

/** What a request is refused for; of these the front and the upstream name all but the rules' own. */
export type RefusalCode =
  | RuleRefusal
  /** 400: no HTTP, or HTTP that two readers could understand differently. */
  | "MalformedRequest"
  /** 405: CONNECT, TRACE. */
  | "MethodNotAllowed"
  /** 408: the head or the body came too slowly. */
  | "RequestTimeout"
  /** 414 */
  | "UrlTooLong"
  /** 417 */
  | "UnsupportedExpectation"
  /** 421: no sandbox of this proxy, or not the one that the connection was made to. */
  | "MisdirectedRequest"
  /** 429: of this sandbox's. */
  | "TooManyRequests"
  /** 429: of this sandbox's. */
  | "TooManyWebSockets"
  /** 431 */
  | "HeadTooLarge"
  /** 500 */
  | "InternalError"
  /** 501: another transfer coding than `chunked`. */
  | "UnsupportedTransferCoding"
  /** 505 */
  | "UnsupportedVersion"
  /** 403: the gateway does not open this port. */
  | "PortNotGranted"
  /** 404 */
  | "UnknownSandbox"
  /** 410 */
  | "SandboxEnded"
  /** 502: nothing listens on the port. */
  | "NothingListens"
  /** 502: the app answered what is no HTTP, or what two readers could understand differently. */
  | "BadAnswer"
  /** 502: the app closed the connection without an answer. */
  | "NoAnswer"
  /** 503: the sandbox is not ready, or at its limit of connections. */
  | "SandboxNotReady"
  /** 503: no gateway answers. */
  | "GatewayUnavailable"
  /** 503: the proxy is stopping. */
  | "ShuttingDown"
  /** 504: the app did not begin to answer in time. */
  | "AnswerTimeout";

/** What a refusal can be about: as much as is known by then. */
export type RefusalAbout = Partial<RequestFacts> & {
  /** Of the sandbox. */
  readonly port?: number | undefined;
};

/** The rules: who may, and what is changed on the way. */
export interface Rules {
  /** At once when the token is remembered: the hot path. Never throws and never rejects for what a client sends. */
  decide(facts: RequestFacts): Decision | Promise<Decision>;
  /** The app's end-to-end headers as the client gets them. Also asked for 1xx; framing and `Connection` are not in there. */
  answerHeaders(forward: Forward, status: number, headers: readonly RawHeader[]): readonly RawHeader[];
  /** The same of a head, as lines: of one that comes again they are put together once. Throws `TypeError` for what must not be written. */
  answerLines(forward: Forward, head: AnswerHead): HeaderLines;
  refuse(code: RefusalCode, about: RefusalAbout): LocalAnswer;
}

/** What connections ask that outlive their request. */
export interface GrantWatch {
  /** Why a grant no longer holds, its route's end included; undefined while it does. `Expired` only where nothing else is. */
  grantProblem(grant: ConnectGrant): string | undefined;
  /** The way to a sandbox as it is by now. */
  currentRoute(sandboxId: string): Route | undefined;
  /** Called after each change of routes, revocations or keys. */
  onChange(listener: (change: TableChange) => void): Disposable;
}

/** How one exchange ended: for the access log and metrics. Holds no token. */
export interface ExchangeEnd {
  readonly protocol: "http/1.0" | "http/1.1" | "h2" | "websocket";
  /** What is known of the request: a head that was refused has no more than its peer. */
  readonly about: RefusalAbout;
  /** Undefined: no request that could be granted. */
  readonly grant: ConnectGrant | undefined;
  /** That the client got; 0: none. */
  readonly status: number;
  /** Of a refusal or another answer of the proxy's own; undefined: the app answered. */
  readonly code: string | undefined;
  /** Whether both ends got all there was. `cut` names who broke off. */
  readonly outcome: "complete" | "client-cut" | "app-cut" | "proxy-cut";
  /** Bytes of bodies, or of a WebSocket. */
  readonly inBytes: number;
  readonly outBytes: number;
  readonly ms: number;
}

/** Told of each exchange when it is over. */
export type Observe = (end: ExchangeEnd) => void;
