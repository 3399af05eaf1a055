// One stream: a request comes, is decided upon, goes to the app over HTTP/1.1, and the answer comes back.
//
//   reading (head, decision) → forwarding ⇄ (body up, answer down) → over
//                            ↘ answering (the proxy's own answer)  ↗
import { randomUUID } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { ConnectGrant, RawHeader } from "@sallyport/connect-token/verify";
import { BadMessage, malformed } from "../bad-message.ts";
import type { Deadlines, Timed } from "../deadlines.ts";
import type {
  Decision,
  ExchangeEnd,
  Forward,
  GrantWatch,
  LocalAnswer,
  Observe,
  RefusalAbout,
  RefusalCode,
  RequestFacts,
  Rules,
} from "../exchange.ts";
import { refusalOfLost } from "../grant-change.ts";
import type { AnswerHead } from "../head/answer-head.ts";
import { NO_BODY } from "../head/framing.ts";
import type { NamedHost } from "../head/host.ts";
import type { CoreLimits } from "../limits.ts";
import { MAX_INFORMATIONAL_ANSWERS } from "../limits.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure, UpstreamRequest } from "../upstream/types.ts";
import { cut, isOpen, sendHead, sendInformation, sendTrailers, stopRequest } from "./send.ts";
import type { StreamHead } from "./stream-head.ts";
import { readStreamHead } from "./stream-head.ts";

/** What an exchange needs of the proxy. */
export interface StreamPlace {
  readonly rules: Rules;
  readonly watch: GrantWatch;
  readonly upstream: { request(request: UpstreamRequest, sink: AnswerSink): UpstreamExchange };
  readonly limits: CoreLimits;
  readonly readHost: (host: string) => NamedHost;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/** The connection that a stream is of. */
export interface StreamOwner {
  readonly peerAddress: string;
  /** By SNI; the certificate is for it. */
  readonly servername: string;
  onStreamOver(exchange: StreamExchange): void;
}

const NO_HEADERS: readonly RawHeader[] = [];

export class StreamExchange implements AnswerSink, Timed {
  /** For the client, where it is its turn. */
  #waitUntilMs = Number.POSITIVE_INFINITY;
  /** For all of it. */
  #untilMs = Number.POSITIVE_INFINITY;
  readonly #stream: ServerHttp2Stream;
  readonly #place: StreamPlace;
  readonly #owner: StreamOwner;
  readonly #startedMs: number;
  #about: RefusalAbout;
  #head: StreamHead | undefined;
  #forward: Forward | undefined;
  #upstream: UpstreamExchange | undefined;
  /** Of the request. */
  #trailers: readonly RawHeader[] = NO_HEADERS;
  #requestOver: boolean;
  /** Of the answer. */
  #status = 0;
  #code: string | undefined;
  #grant: ConnectGrant | undefined;
  #isBodyless = false;
  #waiting: Buffer[] = [];
  #answerTrailers: readonly RawHeader[] = NO_HEADERS;
  #owesTrailers = false;
  #answerOver = false;
  #informations = 0;
  #breaker: "app-cut" | "proxy-cut" | undefined;
  #inBytes = 0;
  #outBytes = 0;

  /** `isWhole`: the request ended with its head. */
  constructor(stream: ServerHttp2Stream, isWhole: boolean, owner: StreamOwner, place: StreamPlace) {
    this.#stream = stream;
    this.#place = place;
    this.#owner = owner;
    this.#requestOver = isWhole;
    this.#startedMs = place.deadlines.nowMs;
    this.#about = { peerAddress: owner.peerAddress, requestId: randomUUID() };
    stream.on("error", ignore); // a stream that fails is closed, and that is told
    stream.once("close", () => this.#onClose());
    if (!isWhole) {
      // They may come before it is decided who takes the body, and are told once.
      stream.once("trailers", (_headers, _flags, raw) => {
        this.#trailers = pairs(raw);
      });
    }
    place.deadlines.watch(this);
  }

  /** Names and values in turns, as they came. */
  begin(raw: readonly string[]): void {
    try {
      const facts = this.#factsOf(raw);
      const decision = this.#place.rules.decide(facts);
      if (decision instanceof Promise) {
        decision.then(
          (late) => this.#act(facts, late),
          () => this.#refuse("InternalError"),
        );
      } else this.#act(facts, decision);
    } catch (error) {
      this.#refuse(error instanceof BadMessage ? error.code : "InternalError");
    }
  }

  /** Of a request that is on its way to the app. */
  get grant(): ConnectGrant | undefined {
    return this.#upstream === undefined ? undefined : this.#grant;
  }

  /** Breaks it off: its token does not hold any more, the client is too slow, the front stops. */
  revoke(code: string): void {
    this.#code = code;
    this.#breaker ??= "proxy-cut";
    cut(this.#stream);
  }

  get deadlineMs(): number {
    return Math.min(this.#waitUntilMs, this.#untilMs);
  }

  onDeadline(): void {
    const isOld = this.#untilMs <= this.#place.deadlines.nowMs;
    this.#waitUntilMs = Number.POSITIVE_INFINITY;
    this.#untilMs = Number.POSITIVE_INFINITY;
    if (isOld) this.revoke("Expired");
    else if (this.#status === 0) this.#refuse("RequestTimeout");
    else this.revoke("ClientStalled");
  }

  // What the app answers.

  onOpen(): void {
    if (this.#head?.expectsContinue === true && !this.#requestOver) sendInformation(this.#stream, 100, NO_HEADERS);
  }

  onInformation(head: AnswerHead): void {
    // We have told the client to go on ourselves; of the app it would hear it twice.
    if (this.#forward === undefined || head.status === 100) return;
    this.#informations += 1;
    if (this.#informations > MAX_INFORMATIONAL_ANSWERS) return;
    const { rules } = this.#place;
    sendInformation(this.#stream, head.status, rules.answerHeaders(this.#forward, head.status, head.endToEnd));
  }

  onHead(head: AnswerHead): void {
    if (this.#forward === undefined) return;
    const { framing, status } = head;
    // 205 has no content in HTTP/2's library, whatever the app says.
    this.#isBodyless = framing.kind === "none" || (framing.kind === "length" && framing.length === 0) || status === 205;
    const length = framing.kind === "length" ? framing.length : head.absentLength;
    const headers = [...this.#place.rules.answerHeaders(this.#forward, status, head.endToEnd)];
    if (length !== undefined) headers.push(["content-length", String(status === 205 ? 0 : length)]);
    this.#status = status;
    this.#owesTrailers = framing.kind === "chunked" && !this.#isBodyless;
    const options = { endStream: this.#isBodyless, waitForTrailers: this.#owesTrailers };
    if (!sendHead(this.#stream, status, headers, options) || !this.#owesTrailers) return;
    this.#stream.once("wantTrailers", () => {
      sendTrailers(this.#stream, this.#answerTrailers);
      // A reset in the same turn would take the place of the trailers.
      if (!this.#requestOver) setImmediate(() => stopRequest(this.#stream));
    });
  }

  onContent(content: Buffer): void {
    if (!this.#isBodyless) this.#waiting.push(content);
  }

  onFlush(): boolean {
    const content = this.#takeWaiting();
    if (content === undefined || !isOpen(this.#stream)) return !this.#stream.writableNeedDrain;
    this.#outBytes += content.length;
    if (this.#stream.write(content)) return true;
    this.#stream.once("drain", () => {
      this.#touch();
      this.#upstream?.resume();
    });
    this.#touch();
    return false;
  }

  onEnd(trailers: readonly RawHeader[]): void {
    this.#upstream = undefined;
    this.#answerTrailers = trailers;
    this.#finish(this.#takeWaiting());
  }

  onUpgrade(_head: AnswerHead, stream: Duplex): void {
    stream.destroy(); // nobody asked for it: no request over HTTP/2 is a handshake
    this.onFailure({ code: "BadAnswer" });
  }

  onFailure({ code }: Pick<UpstreamFailure, "code">): void {
    this.#upstream = undefined;
    if (this.#status === 0) {
      this.#refuse(code);
      return;
    }
    this.#code = code;
    this.#breaker ??= code === "AnswerTimeout" ? "proxy-cut" : "app-cut";
    cut(this.#stream);
  }

  onDrain(): void {
    if (this.#requestOver || !isOpen(this.#stream)) return;
    this.#stream.resume();
    this.#touch();
  }

  // What the client asks.

  #factsOf(raw: readonly string[]): RequestFacts {
    const { limits, readHost } = this.#place;
    const { peerAddress, servername } = this.#owner;
    const head = readStreamHead(raw, this.#requestOver, limits);
    const { endToEnd, headers, host, method, target } = head;
    this.#about = { ...this.#about, method, target, host, headers };
    // Browsers send requests for any host of a certificate over one connection; here each connection is for one host.
    const { name, sandboxId } = readHost(host);
    if (name === undefined) throw malformed("the authority is no name of a host");
    if (sandboxId === undefined || name !== this.#owner.servername) {
      throw new BadMessage("MisdirectedRequest", `not ${servername}`);
    }
    const requestId = this.#about.requestId ?? "";
    const facts = {
      method,
      target,
      sandboxId,
      host,
      headers,
      endToEnd,
      peerAddress,
      requestId,
      scheme: "https",
      isWebSocket: false,
    } as const;
    this.#about = facts;
    this.#head = head;
    return facts;
  }

  #act(facts: RequestFacts, decision: Decision): void {
    if (!isOpen(this.#stream)) return;
    if (decision.kind === "answer") {
      this.#answer(decision.answer);
      return;
    }
    const { grant, headers, route, target } = decision;
    // Between the decision and now there may have been a turn in which the token was revoked, and nobody to be told.
    const problem = this.#place.watch.grantProblem(grant);
    if (problem !== undefined) {
      this.#refuse(refusalOfLost(problem));
      return;
    }
    const { deadlines, limits } = this.#place;
    this.#untilMs = deadlines.roughMs + grant.expiresAtMs - Date.now() + limits.outliveMs;
    this.#grant = grant;
    this.#forward = decision;
    const framing = this.#head?.framing ?? NO_BODY;
    const { method } = facts;
    const request = { route, port: grant.port, method, target, headers, framing, webSocketKey: undefined };
    const exchange = this.#place.upstream.request(request, this);
    this.#upstream = exchange;
    if (framing.kind !== "none") this.#readBody(exchange);
  }

  #readBody(upstream: UpstreamExchange): void {
    const stream = this.#stream;
    stream.on("data", (content: Buffer) => {
      this.#inBytes += content.length;
      if (this.#upstream !== upstream) return; // the answer is there already
      if (upstream.write(content)) this.#touch();
      else {
        stream.pause();
        this.#waitUntilMs = Number.POSITIVE_INFINITY; // the app's time, not the client's
      }
    });
    stream.on("end", () => {
      if (stream.aborted) return; // cut off by the client: not the end of the body
      this.#requestOver = true;
      this.#touch();
      if (this.#upstream === upstream) upstream.end(this.#trailers);
    });
    this.#touch();
  }

  // What the client gets.

  #refuse(code: RefusalCode): void {
    if (this.#status !== 0 || !isOpen(this.#stream)) return;
    this.#answer(this.#place.rules.refuse(code, { ...this.#about, port: this.#grant?.port }));
  }

  #answer({ body, code, headers, status }: LocalAnswer): void {
    this.#upstream?.abort();
    this.#upstream = undefined;
    this.#status = status;
    this.#code = code;
    this.#isBodyless = this.#stream.writableEnded || body.length === 0 || status === 204 || status === 304;
    const all: readonly RawHeader[] =
      status === 204 || status === 304 ? headers : [...headers, ["content-length", String(body.length)]];
    if (sendHead(this.#stream, status, all, { endStream: this.#isBodyless })) this.#finish(body);
  }

  /** The last of the answer. */
  #finish(content: Buffer | undefined): void {
    this.#answerOver = true;
    const stream = this.#stream;
    if (!isOpen(stream)) return;
    if (this.#isBodyless || content === undefined) stream.end();
    else {
      this.#outBytes += content.length;
      stream.end(content);
    }
    if (!this.#requestOver && !this.#owesTrailers) stopRequest(stream);
    this.#touch();
  }

  #takeWaiting(): Buffer | undefined {
    const waiting = this.#waiting;
    if (waiting.length === 0) return undefined;
    this.#waiting = [];
    return waiting.length === 1 ? waiting[0] : Buffer.concat(waiting);
  }

  /** Something went on: the client has its time again, where it is the client's turn. */
  #touch(): void {
    const isClientsTurn = !this.#requestOver || this.#stream.writableLength > 0;
    this.#waitUntilMs = isClientsTurn
      ? this.#place.deadlines.roughMs + this.#place.limits.stallMs
      : Number.POSITIVE_INFINITY;
  }

  #onClose(): void {
    const { deadlines, observe } = this.#place;
    deadlines.forget(this);
    this.#upstream?.abort();
    this.#upstream = undefined;
    const isComplete = this.#answerOver && this.#stream.rstCode === 0;
    const end: ExchangeEnd = {
      protocol: "h2",
      about: this.#about,
      grant: this.#grant,
      status: this.#status,
      code: this.#code,
      outcome: this.#breaker ?? (isComplete ? "complete" : "client-cut"),
      inBytes: this.#inBytes,
      outBytes: this.#outBytes,
      ms: deadlines.nowMs - this.#startedMs,
    };
    this.#owner.onStreamOver(this);
    observe(end);
  }
}

function ignore(): void {}

function pairs(raw: readonly string[]): readonly RawHeader[] {
  const list: RawHeader[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([raw[at] ?? "", raw[at + 1] ?? ""]);
  return list;
}
