// One stream: a request comes, is decided upon, goes to the app over HTTP/1.1, and the answer comes back.
//
//   deciding → forwarding ⇄ (body up, answer down) → answered (the request is not all there yet) → over
//            ↘ answering (the proxy's own answer)  ↗
import type { Duplex } from "node:stream";
import type { ConnectGrant, RawHeader } from "@sallyport/connect-token/verify";
import type { ErrorName } from "@sallyport/dataplane/http2";
import { rstStreamFrame } from "@sallyport/dataplane/http2";
import { BadMessage } from "../bad-message.ts";
import type { Timed } from "../deadlines.ts";
import type {
  Decision,
  ExchangeEnd,
  Forward,
  LocalAnswer,
  RefusalAbout,
  RefusalCode,
  RequestFacts,
} from "../exchange.ts";
import { refusalOfLost } from "../grant-change.ts";
import type { AnswerHead } from "../head/answer-head.ts";
import { MAX_INFORMATIONAL_ANSWERS } from "../limits.ts";
import { newRequestId } from "../request-id.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure } from "../upstream/types.ts";
import { answerBlock, interimBlock, trailersBlock } from "./answer-block.ts";
import { AnswerBody } from "./answer-body.ts";
import type { ReadHead } from "./head-reader.ts";
import { isResetFor } from "./head-reader.ts";
import type { StreamOwner, StreamPlace } from "./place.ts";
import { RequestBody } from "./request-body.ts";
import { requestFacts } from "./request-facts.ts";
import type { StreamHead } from "./stream-head.ts";
import type { Closing } from "./streams.ts";

const NO_HEADERS: readonly RawHeader[] = [];
const NEVER = Number.POSITIVE_INFINITY;
/**
 * A client whose answer is whole before it has said all has so long to end its request itself, as most do. Some take an answer
 * that comes together with a reset for none.
 */
const ANSWERED_MS = 100;

export class StreamExchange implements AnswerSink, Timed {
  readonly streamId: number;
  watchedAt: number | undefined;
  /** For the client, where it is its turn. */
  #waitUntilMs = NEVER;
  /** For all of it. */
  #untilMs = NEVER;
  readonly #place: StreamPlace;
  readonly #owner: StreamOwner;
  readonly #startedMs: number;
  #about: RefusalAbout;
  #head: StreamHead | undefined;
  /** Undefined: the request ended with its head. */
  readonly #body: RequestBody | undefined;
  readonly #answerBody: AnswerBody;
  #forward: Forward | undefined;
  #upstream: UpstreamExchange | undefined;
  #status = 0;
  #code: string | undefined;
  #isBodyless = false;
  #informations = 0;
  /** When the answer was whole while the request was not. */
  #answeredMs: number | undefined;
  #isOver = false;

  constructor(streamId: number, head: ReadHead, isWhole: boolean, owner: StreamOwner, place: StreamPlace) {
    const { deadlines, streamLimits } = place;
    this.streamId = streamId;
    this.#owner = owner;
    this.#place = place;
    this.#startedMs = deadlines.nowMs;
    this.#about = { peerAddress: owner.peerAddress, requestId: newRequestId() };
    this.#answerBody = new AnswerBody(streamId, owner.initialWindow, owner.outflow, this.#onProgress);
    if (!isWhole) {
      const length = "method" in head && head.framing.kind === "length" ? head.framing.length : undefined;
      this.#body = new RequestBody(streamId, length, streamLimits.streamWindowBytes, owner.outflow);
    }
    deadlines.watch(this);
  }

  /** Decides upon it, and acts. */
  begin(head: ReadHead): void {
    try {
      if (head instanceof BadMessage) throw head;
      const facts = this.#factsOf(head);
      const decision = this.#place.rules.decide(facts);
      if (!(decision instanceof Promise)) this.#act(decision);
      else {
        decision.then(
          (late) => this.#act(late),
          () => this.#refuse("InternalError"),
        );
      }
    } catch (error) {
      const resets = error instanceof BadMessage ? isResetFor(error) : undefined;
      if (resets !== undefined) this.fail(resets);
      else this.#refuse(error instanceof BadMessage ? error.code : "InternalError");
    }
  }

  /** Of a request that is on its way to the app. */
  get grant(): ConnectGrant | undefined {
    return this.#upstream === undefined ? undefined : this.#forward?.grant;
  }

  /** The client has said all of its request. */
  get isRequestOver(): boolean {
    return this.#body?.isOver !== false;
  }

  get deadlineMs(): number {
    return Math.min(this.#waitUntilMs, this.#untilMs);
  }

  onDeadline(): void {
    const isOld = this.#untilMs <= this.#place.deadlines.nowMs;
    this.#waitUntilMs = NEVER;
    this.#untilMs = NEVER;
    if (this.#answeredMs !== undefined) this.#reset("NO_ERROR", "complete", undefined);
    else if (isOld) this.revoke("Expired");
    else if (this.#status === 0) this.#refuse("RequestTimeout");
    else this.revoke("ClientStalled");
  }

  /** Breaks it off: its token does not hold any more, the client is too slow, the front stops. */
  revoke(code: string): void {
    this.#reset("INTERNAL_ERROR", "proxy-cut", code);
  }

  // What the client does.

  /** DATA of so many bytes with its padding. */
  onData(content: Buffer, frameBytes: number, isLast: boolean): void {
    this.#onTaken(this.#body?.take(content, frameBytes, isLast));
  }

  /** Undefined: they are malformed. */
  onTrailers(trailers: readonly RawHeader[] | undefined): void {
    this.#onTaken(trailers === undefined ? "PROTOCOL_ERROR" : this.#body?.takeTrailers(trailers));
  }

  /** The client takes so many bytes more of the answer, or fewer. False: its window is too large. */
  addWindow(increment: number): boolean {
    return this.#answerBody.addWindow(increment);
  }

  /** Sends what the window has room for by now. */
  onWindow(): void {
    this.#answerBody.proceed();
  }

  /** The client broke a rule on this stream (RFC 9113, section 5.4.2). */
  fail(code: ErrorName): void {
    if (this.#isOver) return;
    this.#reset(code, "client-cut", "MalformedRequest");
    this.#owner.onFault();
  }

  /** The client has reset the stream, or its connection is gone. */
  onClientGone(): void {
    if (!this.#isOver) this.#over("client-cut", "ended");
  }

  // What the app answers.

  onOpen(): void {
    if (this.#head?.expectsContinue === true && !this.isRequestOver) this.#sendInterim(100, NO_HEADERS);
  }

  onInformation(head: AnswerHead): void {
    // We have told the client to go on ourselves; of the app it would hear it twice.
    if (this.#forward === undefined || head.status === 100) return;
    this.#informations += 1;
    if (this.#informations > MAX_INFORMATIONAL_ANSWERS) return;
    try {
      this.#sendInterim(head.status, this.#place.rules.answerHeaders(this.#forward, head.status, head.endToEnd));
    } catch {
      this.#refuse("InternalError"); // headers that must not be written
    }
  }

  onHead(head: AnswerHead): void {
    if (this.#forward === undefined || this.#isOver) return;
    const { framing, status } = head;
    // A 205 has no content (RFC 9110, section 15.3.6), whatever the app says.
    this.#isBodyless = framing.kind === "none" || (framing.kind === "length" && framing.length === 0) || status === 205;
    const length = status === 205 ? 0 : framing.kind === "length" ? framing.length : head.absentLength;
    try {
      const headers = this.#place.rules.answerHeaders(this.#forward, status, head.endToEnd);
      const block = answerBlock(status, headers, length, this.#place.deadlines.roughEpochMs);
      this.#status = status;
      this.#owner.outflow.headers(this.streamId, block, this.#isBodyless);
      if (this.#isBodyless) this.#answerBody.endedWithHead();
    } catch {
      this.#refuse("InternalError"); // headers that must not be written
    }
  }

  onContent(content: Buffer): void {
    if (!this.#isBodyless) this.#answerBody.add(content);
  }

  onFlush(): boolean {
    if (this.#isOver) return true;
    this.#answerBody.send();
    this.#touch();
    return this.#answerBody.waitingBytes === 0;
  }

  onEnd(trailers: readonly RawHeader[]): void {
    this.#upstream = undefined;
    if (this.#isOver) return;
    try {
      this.#complete(trailers.length === 0 ? "" : trailersBlock(trailers));
    } catch {
      this.revoke("InternalError"); // trailers that must not be written
    }
  }

  onUpgrade(_head: AnswerHead, stream: Duplex): void {
    stream.destroy(); // nobody asked for it: no request over HTTP/2 is a handshake
    this.onFailure({ code: "BadAnswer" });
  }

  onFailure({ code }: Pick<UpstreamFailure, "code">): void {
    this.#upstream = undefined;
    if (this.#status === 0) this.#refuse(code);
    else this.#reset("INTERNAL_ERROR", code === "AnswerTimeout" ? "proxy-cut" : "app-cut", code);
  }

  onDrain(): void {
    this.#body?.onDrain();
    this.#touch();
  }

  #onTaken(problem: ErrorName | undefined): void {
    if (problem !== undefined) this.fail(problem);
    else if (this.#answeredMs !== undefined && this.isRequestOver) this.#over("complete", "ended");
    else this.#touch();
  }

  #factsOf(head: StreamHead): RequestFacts {
    const { headers, host, method, target } = head;
    const { requestId = "" } = this.#about;
    this.#about = { ...this.#about, method, target, host, headers };
    const facts = requestFacts(head, requestId, this.#owner, this.#place.readHost);
    this.#about = facts;
    this.#head = head;
    return facts;
  }

  #act(decision: Decision): void {
    if (this.#isOver || this.#head === undefined) return;
    if (decision.kind === "answer") {
      this.#answer(decision.answer);
      return;
    }
    const { grant, lines, route, target } = decision;
    const headers = lines === undefined ? decision.headers : NO_HEADERS;
    this.#forward = decision;
    // Between the decision and now there may have been a turn in which the token was revoked, and nobody to be told.
    const problem = this.#place.watch.grantProblem(grant);
    if (problem !== undefined) {
      this.#refuse(refusalOfLost(problem));
      return;
    }
    const { deadlines, limits } = this.#place;
    this.#untilMs = deadlines.roughMs + grant.expiresAtMs - deadlines.roughEpochMs + limits.outliveMs;
    const { framing, method } = this.#head;
    const request = { route, port: grant.port, method, target, headers, lines, framing, webSocketKey: undefined };
    let upstream: UpstreamExchange;
    try {
      upstream = this.#place.upstream.request(request, this);
    } catch {
      this.#refuse("InternalError"); // headers that must not be written
      return;
    }
    this.#upstream = upstream;
    if (this.#body !== undefined) {
      this.#body.pipeTo(upstream);
      this.#touch();
    } else if (framing.kind !== "none") upstream.end(NO_HEADERS);
  }

  /** Also in place of an answer of the app's that cannot be told. */
  #refuse(code: RefusalCode): void {
    if (this.#isOver || this.#status !== 0) return;
    this.#answer(this.#place.rules.refuse(code, { ...this.#about, port: this.#forward?.grant.port }));
  }

  #answer({ body, code, headers, status }: LocalAnswer): void {
    this.#stopApp();
    this.#status = status;
    this.#code = code;
    const hasLength = status !== 204 && status !== 304;
    this.#isBodyless = !hasLength || body.length === 0 || this.#about.method === "HEAD";
    try {
      const block = answerBlock(
        status,
        headers,
        hasLength ? body.length : undefined,
        this.#place.deadlines.roughEpochMs,
      );
      this.#owner.outflow.headers(this.streamId, block, this.#isBodyless);
    } catch {
      this.revoke("InternalError"); // headers that must not be written
      return;
    }
    if (this.#isBodyless) this.#answerBody.endedWithHead();
    else this.#answerBody.add(body);
    this.#complete("");
  }

  #sendInterim(status: number, headers: readonly RawHeader[]): void {
    if (this.#isOver || this.#status !== 0) return;
    this.#owner.outflow.headers(this.streamId, interimBlock(status, headers), false);
  }

  /** The last of the answer is there. */
  #complete(trailers: string): void {
    const body = this.#answerBody;
    body.complete(trailers);
    body.send();
    if (body.isOver) this.#finish();
    else this.#touch();
  }

  readonly #onProgress = (): void => {
    if (this.#answerBody.isOver) this.#finish();
    else {
      this.#touch();
      if (this.#answerBody.waitingBytes === 0) this.#upstream?.resume();
    }
  };

  /** The answer is whole; what the client still sends is not wanted (RFC 9113, section 8.1). */
  #finish(): void {
    if (this.isRequestOver) {
      this.#over("complete", "ended");
      return;
    }
    this.#stopApp();
    this.#answeredMs = this.#place.deadlines.nowMs;
    this.#untilMs = NEVER;
    this.#waitUntilMs = this.#answeredMs + ANSWERED_MS;
  }

  /** So that the client does not take what it has for a whole answer. */
  #reset(error: ErrorName, outcome: ExchangeEnd["outcome"], code: string | undefined): void {
    if (this.#isOver) return;
    if (this.#answeredMs === undefined) this.#code = code;
    this.#owner.outflow.bytes(rstStreamFrame(this.streamId, error));
    this.#over(outcome, this.isRequestOver ? "ended" : "reset");
  }

  #stopApp(): void {
    this.#body?.stop();
    this.#upstream?.abort();
    this.#upstream = undefined;
  }

  /** Something went on: the client has its time again, where it is the client's turn. */
  #touch(): void {
    if (this.#answeredMs !== undefined) return;
    const body = this.#body;
    const isToSend = body !== undefined && !body.isOver && !body.isBlocked;
    const isClientsTurn = isToSend || this.#answerBody.waitingBytes > 0;
    const { deadlines, limits } = this.#place;
    this.#waitUntilMs = isClientsTurn ? deadlines.roughMs + limits.stallMs : NEVER;
  }

  #over(outcome: ExchangeEnd["outcome"], closing: Closing): void {
    const { deadlines, observe } = this.#place;
    this.#isOver = true;
    this.#stopApp();
    this.#answerBody.drop();
    deadlines.forget(this);
    this.#owner.onStreamOver(this, closing);
    observe({
      protocol: "h2",
      about: this.#about,
      grant: this.#forward?.grant,
      status: this.#status,
      code: this.#code,
      outcome: this.#answeredMs === undefined ? outcome : "complete",
      inBytes: this.#body?.bytes ?? 0,
      outBytes: this.#answerBody.sentBytes,
      ms: (this.#answeredMs ?? deadlines.nowMs) - this.#startedMs,
    });
  }
}
