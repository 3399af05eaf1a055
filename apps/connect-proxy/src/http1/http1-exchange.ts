// One request of an HTTP/1 client: decided upon, sent to the app, answered.
//
//   deciding → forwarding (body up, answer down) → over
//            ↘ answering (the proxy's own answer) ↗
import type { Duplex } from "node:stream";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { freeRead, isFreeable } from "@sallyport/dataplane";
import { BadMessage, malformed } from "../bad-message.ts";
import type { BodyReader } from "../body/body-reader.ts";
import { bodyReader } from "../body/body-reader.ts";
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
import type { Framing } from "../head/framing.ts";
import { NO_BODY, UNTIL_CLOSE } from "../head/framing.ts";
import type { RequestHead } from "../head/request-head.ts";
import { newRequestId } from "../request-id.ts";
import type { AnswerSink, UpstreamExchange, UpstreamFailure } from "../upstream/types.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { httpDate } from "./http-date.ts";
import type { Http1Owner, Http1Place } from "./place.ts";
import { aboutOf, factsOf } from "./request-facts.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const NO_TRAILERS: readonly RawHeader[] = [];
const NO_HEADERS: readonly RawHeader[] = [];

export class Http1Exchange implements AnswerSink {
  readonly #place: Http1Place;
  readonly #owner: Http1Owner;
  /** Undefined: what came is no sound head. */
  readonly #head: RequestHead | undefined;
  readonly #body: BodyReader | undefined;
  readonly #writer: AnswerWriter;
  readonly #startedMs: number;
  readonly #requestId = newRequestId();
  /** Undefined: its head is not known to be sound. */
  #facts: RequestFacts | undefined;
  #forward: Forward | undefined;
  #upstream: UpstreamExchange | undefined;
  #isBodyBlocked = false;
  #inBytes = 0;
  #status = 0;
  #code: string | undefined;
  #toldToContinue = false;
  #untilMs = Number.POSITIVE_INFINITY;
  /** Of a handshake. */
  #socketPlace: Disposable | undefined;
  #keepAlive = false;
  #isOver = false;

  constructor(place: Http1Place, owner: Http1Owner, head: RequestHead | undefined) {
    this.#place = place;
    this.#owner = owner;
    this.#head = head;
    this.#body = head === undefined ? undefined : bodyReader(head.framing, malformed);
    this.#writer = new AnswerWriter(owner.stream);
    this.#startedMs = place.deadlines.nowMs;
  }

  /** Bytes of the body may come. */
  get wantsBody(): boolean {
    return this.#upstream !== undefined && this.#body?.done === false && !this.#isOver;
  }

  /** The app has enough of the body for now. */
  get isBodyBlocked(): boolean {
    return this.#isBodyBlocked;
  }

  /** It may live so long. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Of a request that is on its way to the app. */
  get forward(): Forward | undefined {
    return this.#upstream === undefined ? undefined : this.#forward;
  }

  /** Has the rules decide, and acts on it. */
  begin(): void {
    try {
      const { readHost, rules } = this.#place;
      this.#facts = factsOf(this.#head, this.#owner, readHost, this.#requestId);
      const decision = rules.decide(this.#facts);
      if (!(decision instanceof Promise)) this.#act(decision);
      else {
        decision.then(
          (late) => this.#act(late),
          () => this.refuse("InternalError"),
        );
      }
    } catch (error) {
      this.refuse(error instanceof BadMessage ? error.code : "InternalError");
    }
  }

  /** The proxy's own answer, or the end of the connection if there has been another. */
  refuse(code: RefusalCode): void {
    if (this.#isOver) return;
    this.#upstream?.abort();
    if (this.#status !== 0) {
      this.#code = code;
      this.#cut("proxy-cut");
      return;
    }
    this.#answer(this.#place.rules.refuse(code, { ...this.#about(), port: this.#forward?.grant.port }));
  }

  /** Reads what there is of the body; gives where the first byte behind it is. */
  readBody(bytes: Buffer): number {
    const body = this.#body;
    const upstream = this.#upstream;
    if (body === undefined || upstream === undefined) return 0;
    const pieces: Buffer[] = [];
    let end = bytes.length;
    try {
      end = body.read(bytes, 0, (piece) => pieces.push(piece));
    } catch (error) {
      this.refuse(error instanceof BadMessage ? error.code : "InternalError");
      return bytes.length;
    }
    const [only] = pieces;
    if (only !== undefined) {
      const content = pieces.length === 1 ? only : Buffer.concat(pieces);
      this.#inBytes += content.length;
      const isAll = content.length === bytes.length && isFreeable(bytes);
      this.#isBodyBlocked = !upstream.write(content, isAll ? () => freeRead(bytes) : undefined);
    }
    if (body.done) {
      this.#isBodyBlocked = false;
      upstream.end(body.trailers);
    }
    return end;
  }

  /** The client takes more of the answer. */
  onClientDrain(): void {
    this.#upstream?.resume();
  }

  /** The client's connection is gone, or its half of it with the body not complete. */
  onClientGone(): void {
    if (this.#isOver) return;
    this.#upstream?.abort();
    this.#cut("client-cut");
  }

  /** The token does not hold any more. */
  revoke(code: string): void {
    if (this.#isOver) return;
    this.#upstream?.abort();
    this.#code = code;
    this.#cut("proxy-cut");
  }

  onOpen(): void {
    const owes = this.#head?.expectsContinue === true && this.#body?.done === false && this.#owner.unreadBytes === 0;
    if (!owes || this.#status !== 0) return;
    this.#toldToContinue = true;
    this.#owner.stream.write(CONTINUE, "latin1");
  }

  onInformation(head: AnswerHead): void {
    if (this.#head?.isHttp10 === true || (head.status === 100 && this.#toldToContinue)) return;
    this.#writeHead(head, NO_BODY, "");
  }

  onHead(head: AnswerHead): void {
    const request = this.#head;
    const isHttp10 = request?.isHttp10 === true;
    const framing: Framing = head.framing.kind === "chunked" && isHttp10 ? UNTIL_CLOSE : head.framing;
    // Bytes that came with a handshake which the app turns down are no request.
    const hasStrayBytes = request?.webSocketKey !== undefined && this.#owner.unreadBytes > 0;
    this.#keepAlive = this.#mayLiveOn() && framing.kind !== "close" && !hasStrayBytes;
    if (!this.#writeHead(head, framing, this.#connectionWord())) return;
    this.#status = head.status;
  }

  onContent(content: Buffer): void {
    this.#writer.content(content);
  }

  onSharedContent(bytes: Buffer, from: number, to: number): void {
    this.#writer.copy(bytes, from, to);
  }

  onFlush(read: Buffer): boolean {
    if (this.#isOver) return true;
    const hasRoom = this.#writer.flush(read);
    this.#owner.onWritten(!hasRoom);
    return hasRoom;
  }

  onEnd(trailers: readonly RawHeader[]): void {
    if (this.#isOver) return;
    this.#writer.end(trailers);
    this.#over("complete");
    this.#owner.onAnswered(this.#keepAlive);
  }

  onUpgrade(head: AnswerHead, stream: Duplex, early: Buffer): void {
    const forward = this.#forward;
    if (forward === undefined || !this.#writeHead(head, NO_BODY, "upgrade")) {
      stream.destroy();
      return;
    }
    this.#writer.flush();
    this.#isOver = true;
    const { observe, webSockets } = this.#place;
    const { stream: client, transport } = this.#owner;
    webSockets.splice({
      grant: forward.grant,
      client: { stream: client, early: this.#owner.handOver(), transport },
      app: { stream, early },
      onOver: (end) => {
        this.#socketPlace?.[Symbol.dispose]();
        observe({ ...this.#endOf("complete"), protocol: "websocket", status: 101, ...end });
      },
    });
  }

  onFailure(failure: UpstreamFailure): void {
    if (this.#isOver) return;
    if (this.#status === 0) {
      this.refuse(failure.code);
      return;
    }
    this.#code = failure.code;
    this.#cut("app-cut");
  }

  onDrain(): void {
    this.#isBodyBlocked = false;
    this.#owner.onBodyWanted();
  }

  #about(): RefusalAbout {
    return this.#facts ?? aboutOf(this.#head, this.#owner, this.#requestId);
  }

  #act(decision: Decision): void {
    if (this.#isOver || this.#head === undefined) return;
    if (decision.kind === "answer") {
      this.#answer(decision.answer);
      return;
    }
    this.#forward = decision;
    // Between the decision and now there may have been a turn in which the token was revoked, and nobody to be told.
    const problem = this.#place.watch.grantProblem(decision.grant);
    if (problem !== undefined) {
      this.refuse(refusalOfLost(problem));
      return;
    }
    const { deadlines, limits } = this.#place;
    this.#untilMs = deadlines.roughMs + decision.grant.expiresAtMs - deadlines.roughEpochMs + limits.outliveMs;
    const { framing, method, webSocketKey } = this.#head;
    const { grant, lines, route, target } = decision;
    const headers = lines === undefined ? decision.headers : NO_HEADERS;
    if (webSocketKey !== undefined) {
      this.#socketPlace = this.#place.webSockets.take(grant.sandboxId);
      if (this.#socketPlace === undefined) {
        this.refuse("TooManyWebSockets");
        return;
      }
    }
    try {
      const request = { route, port: grant.port, method, target, headers, lines, framing, webSocketKey };
      this.#upstream = this.#place.upstream.request(request, this);
    } catch {
      this.refuse("InternalError"); // headers that must not be written
      return;
    }
    if (this.wantsBody) this.#owner.onBodyWanted();
    else if (framing.kind !== "none") this.#upstream.end(NO_TRAILERS);
  }

  #answer(local: LocalAnswer): void {
    const { close, code, status } = local;
    this.#code = code;
    this.#status = status;
    this.#keepAlive = this.#head !== undefined && this.#mayLiveOn() && close !== true;
    try {
      this.#writer.local(local, this.#head?.method === "HEAD", this.#connectionWord(), this.#date());
    } catch {
      this.#code = "InternalError"; // headers that must not be written
      this.#cut("proxy-cut");
      return;
    }
    this.#over("complete");
    this.#owner.onAnswered(this.#keepAlive);
  }

  /** False: the rules or the app gave what must not be written, and the exchange is over. */
  #writeHead(head: AnswerHead, framing: Framing, connection: "" | "close" | "keep-alive" | "upgrade"): boolean {
    const { absentLength, reason, status } = head;
    try {
      if (this.#forward === undefined) throw new TypeError("an answer without a request");
      const lines = this.#place.rules.answerLines(this.#forward, head);
      this.#writer.head({ status, reason, lines, framing, absentLength, connection, date: this.#date() });
      return true;
    } catch {
      this.refuse("InternalError");
      return false;
    }
  }

  #date(): string {
    return httpDate(this.#place.deadlines.roughEpochMs);
  }

  /** Whether the client's connection is good for another request: it wants to, and has sent all of this one. */
  #mayLiveOn(): boolean {
    return this.#head?.keepAlive === true && this.#body?.done === true && !this.#owner.isLast;
  }

  #connectionWord(): "" | "close" | "keep-alive" {
    if (!this.#keepAlive) return "close";
    return this.#head?.isHttp10 === true ? "keep-alive" : "";
  }

  #cut(outcome: ExchangeEnd["outcome"]): void {
    this.#over(outcome);
    this.#owner.cut();
  }

  #over(outcome: ExchangeEnd["outcome"]): void {
    this.#isOver = true;
    this.#socketPlace?.[Symbol.dispose]();
    this.#place.observe(this.#endOf(outcome));
  }

  #endOf(outcome: ExchangeEnd["outcome"]): ExchangeEnd {
    return {
      protocol: this.#head?.isHttp10 === true ? "http/1.0" : "http/1.1",
      about: this.#about(),
      grant: this.#forward?.grant,
      status: this.#status,
      code: this.#code,
      outcome,
      inBytes: this.#inBytes,
      outBytes: this.#writer.contentBytes,
      ms: this.#place.deadlines.nowMs - this.#startedMs,
    };
  }
}
