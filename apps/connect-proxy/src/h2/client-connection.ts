// One connection of an HTTP/2 client: its frames, its settings, its windows, its time.
//
//   serving ──(nothing asked for too long, or drained)──▶ closing (GOAWAY; streams come to their end) ──▶ ending ──▶ gone
//      └──(the client broke a rule of connections: GOAWAY)──────────────────────────────────────────────▶ ┘
import type { Duplex } from "node:stream";
import {
  ClientPreface,
  DEFAULT_HEADER_TABLE_BYTES,
  DEFAULT_MAX_FRAME_BYTES,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  FrameReader,
  GracefulEnd,
  goawayFrame,
  Http2Error,
  newFrame,
  pingFrame,
  readSettings,
  rstStreamFrame,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from "@sallyport/dataplane/http2";
import type { TableChange } from "@sallyport/dataplane/routes";
import { Http2Rates } from "@sallyport/edge";
import type { Timed } from "../deadlines.ts";
import { concerns } from "../grant-change.ts";
import type { FrameTaker } from "./frame-input.ts";
import { FrameInput } from "./frame-input.ts";
import type { ReadHead } from "./head-reader.ts";
import { MAX_SETTINGS, MAX_UNSENT_BYTES, RATE_LIMITS } from "./limits.ts";
import { FIRST_WINDOW_BYTES, Outflow } from "./outflow.ts";
import type { ClientAddress, StreamOwner, StreamPlace } from "./place.ts";
import { StreamExchange } from "./stream-exchange.ts";
import type { Closing } from "./streams.ts";
import { Streams } from "./streams.ts";

const NEVER = Number.POSITIVE_INFINITY;
const SETTINGS_ACK = newFrame(FRAME.settings, FLAG.ack, 0, 0);

export class ClientConnection implements StreamOwner, FrameTaker, Timed {
  readonly peerAddress: string;
  readonly servername: string;
  readonly outflow: Outflow;
  readonly rates: Http2Rates;
  readonly streams = new Streams();
  watchedAt: number | undefined;
  readonly #socket: Duplex;
  readonly #place: StreamPlace;
  readonly #onGone: () => void;
  readonly #preface = new ClientPreface();
  readonly #input: FrameInput;
  readonly #reader: FrameReader;
  readonly #drain: GracefulEnd;
  #initialWindow = FIRST_WINDOW_BYTES;
  /** Bytes of DATA for which the client has not got the connection's window back. */
  #taken = 0;
  /** Our own SETTINGS, until the client has taken them. */
  #unacknowledged = 1;
  /** Without streams it has until then. */
  #waitUntilMs: number;
  /** For the rest of a header block, amid which nothing else can come. */
  #blockUntilMs = NEVER;
  #state: "serving" | "closing" | "ending" | "gone" = "serving";

  constructor(socket: Duplex, client: ClientAddress, place: StreamPlace, onGone: () => void) {
    const { deadlines, limits, streamLimits } = place;
    this.peerAddress = client.peerAddress;
    this.servername = client.servername;
    this.#socket = socket;
    this.#place = place;
    this.#onGone = onGone;
    this.outflow = new Outflow(socket);
    this.rates = new Http2Rates({ ...RATE_LIMITS, ...streamLimits }, () => deadlines.nowMs);
    this.#drain = new GracefulEnd(this.streams, (frame) => this.outflow.bytes(frame));
    this.#input = new FrameInput(this, limits);
    this.#reader = new FrameReader(this.#input, DEFAULT_MAX_FRAME_BYTES);
    this.#waitUntilMs = deadlines.nowMs + limits.headMs;
    this.outflow.bytes(
      settingsFrame([
        [SETTING.maxConcurrentStreams, streamLimits.maxStreams],
        [SETTING.initialWindowSize, streamLimits.streamWindowBytes],
        [SETTING.maxHeaderListSize, limits.maxHeadBytes],
      ]),
    );
    this.outflow.bytes(windowUpdateFrame(0, streamLimits.connectionWindowBytes - FIRST_WINDOW_BYTES));
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    // Who ends its half has nothing more to say that HTTP/2 needs: acknowledgements, windows, pings.
    for (const event of ["end", "error", "close"]) socket.on(event, this.#onBroken);
    deadlines.watch(this);
    socket.resume();
  }

  get initialWindow(): number {
    return this.#initialWindow;
  }

  get deadlineMs(): number {
    return Math.min(this.#waitUntilMs, this.#blockUntilMs);
  }

  onDeadline(): void {
    if (this.#state === "ending") this.#leave();
    else if (this.streams.openCount > 0)
      this.#onFault(new Http2Error("ENHANCE_YOUR_CALM", "a header block never ends"));
    else this.#close();
  }

  /** Takes no more streams, in two steps: those that the client opens before it hears of it are served. */
  drain(): void {
    if (this.#state === "serving") this.#drain.start();
  }

  destroy(): void {
    for (const exchange of this.streams.all()) exchange.revoke("ShuttingDown");
    this.outflow.flush();
    this.#leave();
  }

  /** A token that is only too old lets what it began come to its end; one that is revoked does not. */
  cutRevoked(change: TableChange): void {
    for (const exchange of this.streams.all()) {
      const { grant } = exchange;
      if (grant === undefined || !concerns(change, grant)) continue;
      const problem = this.#place.watch.grantProblem(grant);
      if (problem !== undefined && problem !== "Expired" && problem !== "SandboxEnded") exchange.revoke(problem);
    }
  }

  onFault(): void {
    this.rates.reset();
  }

  onStreamOver({ streamId }: StreamExchange, closing: Closing): void {
    this.streams.close(streamId, closing);
    if (this.streams.openCount > 0) return;
    const { deadlines, limits } = this.#place;
    this.#waitUntilMs = deadlines.roughMs + limits.idleMs;
    if (this.#state === "closing" || this.#drain.isOver) this.#close();
  }

  onRequest(streamId: number, head: ReadHead, isWhole: boolean): void {
    if (this.#drain.refusesStreams || this.streams.openCount >= this.#place.streamLimits.maxStreams) {
      this.streams.refuse(streamId);
      this.outflow.bytes(rstStreamFrame(streamId, "REFUSED_STREAM"));
      this.rates.refusal();
      return;
    }
    this.#waitUntilMs = NEVER;
    const exchange = new StreamExchange(streamId, head, isWhole, this, this.#place);
    this.streams.begin(exchange);
    exchange.begin(head);
  }

  /**
   * Given back at once, whoever waits for them: each stream's own window bounds what is kept, and what one keeps must not stand
   * in the way of others. So there is no more than this window takes.
   */
  onDataBytes(bytes: number): void {
    const { connectionWindowBytes } = this.#place.streamLimits;
    this.#taken += bytes;
    if (this.#taken < connectionWindowBytes / 2) return;
    this.outflow.bytes(windowUpdateFrame(0, this.#taken));
    this.#taken = 0;
  }

  onSettings(frame: Buffer): void {
    const settings = readSettings(frame);
    if (settings.length > MAX_SETTINGS) throw new Http2Error("ENHANCE_YOUR_CALM", "a frame has too many settings");
    let window = this.#initialWindow;
    for (const [id, value] of settings) {
      if (id === SETTING.initialWindowSize) window = value;
      if (id === SETTING.headerTableSize && value < DEFAULT_HEADER_TABLE_BYTES) this.outflow.useNoTable();
    }
    this.outflow.bytes(SETTINGS_ACK);
    const change = window - this.#initialWindow;
    this.#initialWindow = window;
    if (change === 0) return;
    for (const exchange of this.streams.all()) {
      if (!exchange.addWindow(change)) throw new Http2Error("FLOW_CONTROL_ERROR", "a stream's window is too large");
    }
    if (change > 0) for (const exchange of this.streams.all()) exchange.onWindow();
  }

  onSettingsTaken(): void {
    if (this.#unacknowledged === 0)
      throw new Http2Error("PROTOCOL_ERROR", "SETTINGS are acknowledged that nobody sent");
    this.#unacknowledged -= 1;
  }

  onPing(frame: Buffer): void {
    const pong = pingFrame(frame.subarray(FRAME_HEAD_BYTES));
    pong[4] = FLAG.ack;
    this.outflow.bytes(pong);
  }

  onPong(frame: Buffer): void {
    if (this.#drain.takePong(frame) && this.#drain.isOver) this.#close();
  }

  onConnectionWindow(increment: number): void {
    this.outflow.addWindow(increment);
  }

  readonly #onData = (piece: Buffer): void => {
    // What still comes is read all the same: with bytes unread a socket would end by a reset, and the last words be lost.
    if (this.#state === "ending" || this.#state === "gone") return;
    try {
      const frames = this.#preface.isWhole ? piece : this.#preface.push(piece);
      if (frames.length > 0) this.#reader.push(frames);
    } catch (error) {
      this.#onFault(error);
      return;
    }
    const { deadlines, limits } = this.#place;
    if (!this.#input.isAmidBlock) this.#blockUntilMs = NEVER;
    else if (this.#blockUntilMs === NEVER) this.#blockUntilMs = deadlines.roughMs + limits.headMs;
    // A client that does not read what it asks for is not heard until it does.
    if (this.outflow.unsentBytes > MAX_UNSENT_BYTES) this.#socket.pause();
  };

  readonly #onDrain = (): void => {
    this.outflow.release();
    if (this.#socket.isPaused()) this.#socket.resume();
  };

  readonly #onBroken = (): void => {
    for (const exchange of this.streams.all()) exchange.onClientGone();
    this.#leave();
  };

  /** The client broke a rule of connections (section 5.4.1). */
  #onFault(error: unknown): void {
    const code = error instanceof Http2Error ? error.code : "INTERNAL_ERROR";
    const problem = error instanceof Http2Error ? error.message : "the proxy failed";
    for (const exchange of this.streams.all()) exchange.onClientGone();
    this.outflow.bytes(goawayFrame(this.streams.lastId, code, problem));
    this.#end();
  }

  /** Takes no more streams, and ends behind the last one. */
  #close(): void {
    this.#drain.sayLast();
    this.#state = "closing";
    if (this.streams.openCount === 0) this.#end();
  }

  /** The last words are said: time for them to arrive. */
  #end(): void {
    if (this.#state === "ending" || this.#state === "gone") return;
    this.#state = "ending";
    const { deadlines, limits } = this.#place;
    this.#blockUntilMs = NEVER;
    this.#waitUntilMs = deadlines.nowMs + limits.lingerMs;
    this.outflow.flush();
    this.#socket.end();
    this.#socket.resume();
  }

  #leave(): void {
    if (this.#state === "gone") return;
    this.#state = "gone";
    this.#place.deadlines.forget(this);
    this.#socket.off("data", this.#onData);
    this.#socket.off("drain", this.#onDrain);
    this.#socket.destroy();
    this.#onGone();
  }
}
