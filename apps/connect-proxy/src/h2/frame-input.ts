// Frames of a client: which of them may come when (RFC 9113, sections 5 and 6), and to whom they go.
import type { FrameSink, HeaderBlock } from "@sallyport/dataplane/http2";
import {
  checkDependency,
  dataBytes,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  HeaderBlockReader,
  Http2Error,
  MAX_31_BITS,
} from "@sallyport/dataplane/http2";
import type { Http2Rates } from "@sallyport/edge";
import type { HeadLimits } from "../head/request-head.ts";
import type { ReadHead } from "./head-reader.ts";
import { HeadReader } from "./head-reader.ts";
import { BLOCK_LIMITS } from "./limits.ts";
import type { StreamExchange } from "./stream-exchange.ts";
import type { Streams } from "./streams.ts";

/** What becomes of frames that are sound. */
export interface FrameTaker {
  readonly streams: Streams;
  readonly rates: Http2Rates;
  /** A request; its stream is the next one. */
  onRequest(streamId: number, head: ReadHead, isWhole: boolean): void;
  /** Bytes of DATA, whatever becomes of them. */
  onDataBytes(bytes: number): void;
  onSettings(frame: Buffer): void;
  onSettingsTaken(): void;
  onPing(frame: Buffer): void;
  onPong(frame: Buffer): void;
  onConnectionWindow(increment: number): void;
}

export class FrameInput implements FrameSink {
  readonly #taker: FrameTaker;
  readonly #blocks = new HeaderBlockReader(BLOCK_LIMITS);
  readonly #heads: HeadReader;
  #hasSettings = false;

  constructor(taker: FrameTaker, limits: HeadLimits) {
    this.#taker = taker;
    this.#heads = new HeadReader(limits);
  }

  /** A header block has begun and is not whole. */
  get isAmidBlock(): boolean {
    return this.#blocks.isOpen;
  }

  onFrame(type: number, flags: number, streamId: number, frame: Buffer): void {
    if (!this.#hasSettings) this.#checkFirst(type, flags);
    if (type !== FRAME.continuation) this.#blocks.checkClosed();
    switch (type) {
      case FRAME.data:
        this.#onData(flags, streamId, frame);
        break;
      case FRAME.headers:
        this.#onBlock(this.#blocks.headers(flags, streamId, frame));
        break;
      case FRAME.continuation:
        this.#onBlock(this.#blocks.continuation(flags, streamId, frame));
        break;
      case FRAME.priority:
        // Deprecated (section 5.3.2), as is what HEADERS says of it.
        this.#taker.rates.control();
        checkDependency(frame.readUInt32BE(FRAME_HEAD_BYTES), streamId);
        break;
      case FRAME.rstStream:
        this.#onReset(streamId);
        break;
      case FRAME.settings:
        this.#taker.rates.control();
        if ((flags & FLAG.ack) === 0) this.#taker.onSettings(frame);
        else this.#taker.onSettingsTaken();
        break;
      case FRAME.ping:
        this.#taker.rates.control();
        if ((flags & FLAG.ack) === 0) this.#taker.onPing(frame);
        else this.#taker.onPong(frame);
        break;
      case FRAME.windowUpdate:
        this.#onWindowUpdate(streamId, frame.readUInt32BE(FRAME_HEAD_BYTES) & MAX_31_BITS);
        break;
      case FRAME.pushPromise:
        throw broken("a client promises a push");
      default:
        // GOAWAY: a client that goes says so by its end. Extensions are nothing to a server that does not know them.
        this.#taker.rates.control();
    }
  }

  #checkFirst(type: number, flags: number): void {
    if (type !== FRAME.settings || (flags & FLAG.ack) !== 0) throw broken("a client's first frame is not SETTINGS");
    this.#hasSettings = true;
  }

  #onData(flags: number, streamId: number, frame: Buffer): void {
    const { rates, streams } = this.#taker;
    const bytes = dataBytes(flags, frame);
    const frameBytes = frame.length - FRAME_HEAD_BYTES;
    const endsStream = (flags & FLAG.endStream) !== 0;
    if (bytes === 0 && !endsStream) rates.control();
    this.#taker.onDataBytes(frameBytes);
    const stream = streams.open(streamId);
    if (stream === undefined) {
      if (streams.isIdle(streamId)) throw broken("DATA is of a stream that was not begun");
      if (streams.closing(streamId) === "ended") throw closed("DATA is of a stream that is over");
      return; // it may not have heard of the reset
    }
    checkOpen(stream);
    const from = FRAME_HEAD_BYTES + ((flags & FLAG.padded) === 0 ? 0 : 1);
    stream.onData(frame.subarray(from, from + bytes), frameBytes, endsStream);
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    const { streams } = this.#taker;
    const { endStream, streamId } = block;
    const stream = streams.open(streamId);
    if (stream !== undefined) {
      checkOpen(stream);
      const trailers = this.#heads.trailers(block);
      stream.onTrailers(endStream ? trailers : undefined);
      return;
    }
    if (streams.isIdle(streamId) && streamId % 2 === 1) {
      this.#taker.onRequest(streamId, this.#heads.head(block), endStream);
      return;
    }
    const closing = streams.closing(streamId);
    if (closing === "ended") throw closed("HEADERS are of a stream that is over");
    if (closing === undefined) throw broken("a client begins a stream that is not its next one");
    this.#heads.skip(block);
  }

  #onReset(streamId: number): void {
    const { rates, streams } = this.#taker;
    rates.reset();
    if (streams.isIdle(streamId)) throw broken("a stream is reset that was not begun");
    streams.open(streamId)?.onClientGone();
  }

  #onWindowUpdate(streamId: number, increment: number): void {
    const { streams } = this.#taker;
    if (streamId === 0) {
      if (increment === 0) throw broken("a window is updated by nothing");
      this.#taker.onConnectionWindow(increment);
      return;
    }
    if (streams.isIdle(streamId)) throw broken("WINDOW_UPDATE is of a stream that was not begun");
    const stream = streams.open(streamId);
    if (stream === undefined) return;
    if (increment === 0) stream.fail("PROTOCOL_ERROR");
    else if (stream.addWindow(increment)) stream.onWindow();
    else stream.fail("FLOW_CONTROL_ERROR");
  }
}

function checkOpen(stream: StreamExchange): void {
  if (stream.isRequestOver) throw closed("a frame comes behind a request's end");
}

function broken(problem: string): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", problem);
}

function closed(problem: string): Http2Error {
  return new Http2Error("STREAM_CLOSED", problem);
}
