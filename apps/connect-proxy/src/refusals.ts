// Every answer of the proxy's own that is an error, in one table: what it says, and how it is said to browsers and programs.

import type { RawHeader } from "@sallyport/connect-token/verify";
import type { LocalAnswer, RefusalAbout, RefusalCode } from "./exchange.ts";
import { htmlPage, PAGE_POLICY, wantsHtml } from "./refusal-page.ts";

interface Refusal {
  readonly status: number;
  /** One sentence, for people. Shown to strangers: it says nothing that they may not know. */
  readonly message: string;
  /** What mends it; undefined: nothing that the caller could do. */
  readonly hint?: string;
  /** Parameters of the Bearer challenge (RFC 6750, section 3); empty: the realm alone. */
  readonly challenge?: string;
  readonly retryAfterS?: number;
  readonly headers?: readonly RawHeader[];
  /** The connection ends with it: what else is on it cannot be told apart, or shall not be read. */
  readonly close?: true;
}

const MAKE_ONE = "Make one by sb.createConnectToken() or sallyport connect-token create.";
const HOW = "Send it as Authorization: Bearer TOKEN, or open the link that ends with it.";

const REFUSALS: Readonly<Record<RefusalCode, Refusal>> = {
  MalformedRequest: {
    status: 400,
    message: "The request is no HTTP, or two readers could understand it differently.",
    hint: "Send one Host, one Content-Length or chunked, and no control characters.",
    close: true,
  },
  AmbiguousToken: {
    status: 400,
    message: "The request has two different connect tokens in one place, or more than one Authorization.",
    hint: "Send one token. In a browser, remove the cookies of this host and open the link again.",
    challenge: 'error="invalid_request"',
  },
  MisplacedToken: {
    status: 400,
    message: "The connect token stands where the app would see it.",
    hint: "Send it as Authorization: Bearer TOKEN, or as a parameter of its own in the query, behind ? or &.",
    challenge: 'error="invalid_request"',
  },
  NoToken: {
    status: 401,
    message: "A connect token is needed here.",
    hint: `${HOW} ${MAKE_ONE} If you have just opened such a link, this browser keeps no cookies of this host.`,
    challenge: "",
  },
  BadToken: {
    status: 401,
    message: "This is no connect token that counts here.",
    hint: `It may be cut off, of another platform, or signed by a key that is no longer used. ${MAKE_ONE}`,
    challenge: 'error="invalid_token", error_description="no connect token that counts here"',
  },
  TokenExpired: {
    status: 401,
    message: "The connect token has expired.",
    hint: `${MAKE_ONE} Its life is expiresInMs, one hour unless asked otherwise.`,
    challenge: 'error="invalid_token", error_description="the token has expired"',
  },
  TokenRevoked: {
    status: 401,
    message: "The connect token has been revoked.",
    hint: MAKE_ONE,
    challenge: 'error="invalid_token", error_description="the token is revoked"',
  },
  WrongSandbox: {
    status: 403,
    message: "The connect token is for another sandbox.",
    hint: "Compare the host name with the url that came with the token.",
    challenge: 'error="insufficient_scope"',
  },
  AddressNotAllowed: {
    status: 403,
    message: "The sandbox takes no clients from this address.",
    hint: "Its inboundCidrAllowlist names who may come. It is given when the sandbox is created, and stays.",
  },
  ForeignOrigin: {
    status: 403,
    message: "Another site made this browser ask, in the name of a cookie.",
    hint: "Call from a page of this host, or send the token as Authorization: Bearer TOKEN.",
  },
  NotEmbeddable: {
    status: 403,
    message: "Another site shows this sandbox in a frame, and the connect token is not made for that.",
    hint: "Make the token with embed: true (sallyport connect-token create --embed), or open the link in a tab of its own.",
  },
  RootServiceWorker: {
    status: 403,
    message: "A service worker for the whole host would see every link that brings a token.",
    hint: "Serve its script from a folder, or ask the operator for SALLYPORT_CONNECT_ROOT_SERVICE_WORKERS.",
  },
  PortNotGranted: {
    status: 403,
    message: "The connect token's port cannot be opened.",
    hint: "It is kept for the platform. Make the token for the port on which your server listens.",
    challenge: 'error="insufficient_scope"',
  },
  UnknownSandbox: {
    status: 404,
    message: "There is no such sandbox.",
    hint: "It may have ended more than an hour ago.",
  },
  MethodNotAllowed: {
    status: 405,
    message: "This method does not go into a sandbox.",
    hint: "CONNECT and TRACE are for proxies.",
    headers: [["Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]],
    close: true,
  },
  RequestTimeout: {
    status: 408,
    message: "The request came too slowly.",
    hint: "Send the head at once, and go on sending the body.",
    close: true,
  },
  SandboxEnded: {
    status: 410,
    message: "The sandbox has ended.",
    hint: "Create another one, and a token for it.",
  },
  UrlTooLong: {
    status: 414,
    message: "The address is too long.",
    hint: "Send long values in a body.",
    close: true,
  },
  UnsupportedExpectation: {
    status: 417,
    message: "The request expects what is not known here.",
    hint: "Of Expect only 100-continue is known.",
  },
  MisdirectedRequest: {
    status: 421,
    message: "This host is not served on this connection.",
    hint: "Connect anew, by the host name of the url that came with the token.",
  },
  TooManyRequests: {
    status: 429,
    message: "Too many requests are under way.",
    hint: "Wait until some have ended.",
    retryAfterS: 1,
  },
  TooManyWebSockets: {
    status: 429,
    message: "Too many WebSockets are open.",
    hint: "Close some first.",
    retryAfterS: 5,
  },
  HeadTooLarge: {
    status: 431,
    message: "The headers are too many or too large.",
    hint: "Cookies are the usual cause: remove those of this host.",
    close: true,
  },
  InternalError: {
    status: 500,
    message: "The proxy failed.",
    hint: "The operator finds the cause in its log, by the request id.",
    close: true,
  },
  UnsupportedTransferCoding: {
    status: 501,
    message: "This transfer coding is not known.",
    hint: "Send a Content-Length, or chunked alone.",
    close: true,
  },
  NothingListens: {
    status: 502,
    message: "Nothing listens on PORT of the sandbox.",
    hint: "Start a server there that listens on 0.0.0.0, not on 127.0.0.1 alone; or make the token for the port that it has, createConnectToken({ port }).",
  },
  BadAnswer: {
    status: 502,
    message:
      "What listens on PORT of the sandbox does not speak HTTP, or so that two readers could understand it differently.",
    hint: "Look at the server's own output. It must speak plain HTTP/1.1, without TLS.",
  },
  NoAnswer: {
    status: 502,
    message: "The server on PORT of the sandbox closed the connection without an answer.",
    hint: "Look at the server's own output: it may have crashed.",
  },
  SandboxNotReady: {
    status: 503,
    message: "The sandbox is not ready, or has as many connections as it may have.",
    hint: "Try again.",
    retryAfterS: 1,
  },
  GatewayUnavailable: {
    status: 503,
    message: "A part of the platform is away for the moment.",
    hint: "Try again; if it lasts, the operator asks sallyport doctor.",
    retryAfterS: 2,
  },
  ShuttingDown: {
    status: 503,
    message: "This proxy is being stopped.",
    hint: "Try again: another one takes over.",
    retryAfterS: 1,
    close: true,
  },
  AnswerTimeout: {
    status: 504,
    message: "The server on PORT of the sandbox did not begin to answer in time.",
    hint: "Answer with the headers first and go on with the body, or do long work in the background.",
  },
  UnsupportedVersion: {
    status: 505,
    message: "This version of HTTP is not known.",
    hint: "Use HTTP/1.1 or HTTP/2.",
    close: true,
  },
};

/** The codes, for tables and tests. */
export const REFUSAL_CODES: readonly RefusalCode[] = Object.keys(REFUSALS) as RefusalCode[];

/**
 * The answer to a refused request: a page for browsers that want to show one, else JSON, `{ code, message, hint,
 * requestId }`. Readable for scripts of any origin, but for none in the name of cookies: whether somebody else's cookie
 * counts here is nothing that a page may learn.
 */
export function refusal(code: RefusalCode, about: RefusalAbout): LocalAnswer {
  const { challenge, close, headers = [], hint, message, retryAfterS, status } = REFUSALS[code];
  const port = about.port === undefined ? "the port" : `port ${about.port}`;
  const { requestId = "" } = about;
  const text = { code, message: message.replace("PORT", port), hint, requestId };
  const html = wantsHtml(about);
  const answer: RawHeader[] = [
    ["Content-Type", html ? "text/html; charset=utf-8" : "application/json"],
    ["Cache-Control", "no-store"],
    ["X-Content-Type-Options", "nosniff"],
    ["Referrer-Policy", "no-referrer"],
    ["Access-Control-Allow-Origin", "*"],
    ["Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, X-Request-Id"],
  ];
  if (html) answer.push(["Content-Security-Policy", PAGE_POLICY]);
  if (requestId !== "") answer.push(["X-Request-Id", requestId]);
  if (challenge !== undefined) answer.push(["WWW-Authenticate", bearer(challenge)]);
  if (retryAfterS !== undefined) answer.push(["Retry-After", String(retryAfterS)]);
  answer.push(...headers);
  const body = Buffer.from(html ? htmlPage(status, text) : `${JSON.stringify(text)}\n`);
  return { status, headers: answer, body, code, close };
}

function bearer(parameters: string): string {
  return parameters === "" ? 'Bearer realm="sallyport"' : `Bearer realm="sallyport", ${parameters}`;
}
