// Frames of a client: what goes on to the sandbox, what is answered here, what ends the connection.
import type { FrameSink, HeaderBlock } from "@sallyport/dataplane/http2";
import {
  checkDependency,
  DEFAULT_HEADER_TABLE_BYTES,
  dataBytes,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  HeaderBlockReader,
  HpackDecoder,
  Http2Error,
  MAX_31_BITS,
  PREFACE,
  trailersProblem,
  windowUpdateFrame,
} from "@sallyport/dataplane/http2";
import { NewStreams } from "./new-stream.ts";
import type { Shared } from "./shared.ts";
import type { Stream } from "./streams.ts";

export class ClientFrames implements FrameSink {
  readonly #shared: Shared;
  readonly #newStreams: NewStreams;
  readonly #blocks: HeaderBlockReader;
  readonly #decoder: HpackDecoder;
  #hasSettings = false;
  /** Bytes of refused streams, for which the client gets its window back: the sandbox, whose window it is, never sees them. */
  #dropped = 0;

  constructor(shared: Shared) {
    const { limits } = shared;
    this.#shared = shared;
    this.#newStreams = new NewStreams(shared);
    this.#blocks = new HeaderBlockReader(limits);
    this.#decoder = new HpackDecoder({
      maxTableBytes: DEFAULT_HEADER_TABLE_BYTES,
      maxListBytes: limits.maxHeaderListBytes,
    });
  }

  /** Whether the client has said its settings. */
  get hasSettings(): boolean {
    return this.#hasSettings;
  }

  /**
   * Header blocks grow on their way (one byte may stand for a field of 4 KiB): a client could fill the memory with few bytes,
   * and a sandbox that reads nothing would keep it there.
   */
  get isFull(): boolean {
    return this.#shared.toSandbox.waitingBytes >= this.#shared.limits.maxSandboxWaitingBytes;
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
        // Deprecated (section 5.3.2): not handed on, nor is what HEADERS says of it.
        checkDependency(frame.readUInt32BE(FRAME_HEAD_BYTES), streamId);
        this.#shared.rates.control();
        break;
      case FRAME.rstStream:
        this.#onReset(streamId, frame);
        break;
      case FRAME.settings:
        this.#onSettings(flags, frame);
        break;
      case FRAME.ping:
        this.#onPing(flags, frame);
        break;
      case FRAME.goaway:
        this.#shared.rates.control();
        this.#shared.toSandbox.pass(frame);
        break;
      case FRAME.windowUpdate:
        this.#onWindowUpdate(streamId, frame);
        break;
      case FRAME.pushPromise:
        throw new Http2Error("PROTOCOL_ERROR", "a client promises a push");
      default:
        // ALTSVC, ORIGIN and whatever else: extensions are between two neighbours (section 5.5).
        this.#shared.rates.control();
    }
  }

  /** To be called when all frames of a piece are taken. */
  giveBackWindow(): void {
    if (this.#dropped === 0) return;
    this.#shared.toClient.add(windowUpdateFrame(0, this.#dropped));
    this.#dropped = 0;
  }

  #checkFirst(type: number, flags: number): void {
    if (type !== FRAME.settings || (flags & FLAG.ack) !== 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a client's first frame is not SETTINGS");
    }
    this.#hasSettings = true;
    this.#shared.toSandbox.add(PREFACE);
  }

  #onData(flags: number, streamId: number, frame: Buffer): void {
    const { rates, streams, toSandbox } = this.#shared;
    const bytes = dataBytes(flags, frame);
    const endsStream = (flags & FLAG.endStream) !== 0;
    if (bytes === 0 && !endsStream) rates.control();
    const stream = streams.open(streamId);
    if (stream === undefined) {
      this.#onLateData(streamId, frame);
      return;
    }
    if (stream.clientEnded) throw new Http2Error("STREAM_CLOSED", "DATA comes behind a request's end");
    countBody(stream, bytes, endsStream);
    toSandbox.pass(frame);
    if (endsStream) streams.endByClient(streamId, stream);
  }

  /** DATA of a stream that is over. */
  #onLateData(streamId: number, frame: Buffer): void {
    const { streams, toSandbox } = this.#shared;
    if (streams.isIdle(streamId)) throw new Http2Error("PROTOCOL_ERROR", "DATA is of a stream that was not begun");
    const closing = streams.closing(streamId);
    if (closing === "refused") this.#dropped += frame.length - FRAME_HEAD_BYTES;
    // It may not have heard of the reset; the sandbox has to count it for the connection's window (section 6.9).
    else if (closing === "sandbox-reset") toSandbox.pass(frame);
    else throw new Http2Error("STREAM_CLOSED", "DATA is of a stream that is over");
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    const { streams } = this.#shared;
    const { streamId } = block;
    // Whatever becomes of it: later blocks stand on it.
    const list = this.#decoder.decode(block.bytes);
    const stream = streams.open(streamId);
    if (stream !== undefined) {
      if (stream.clientEnded) throw new Http2Error("STREAM_CLOSED", "HEADERS come behind a request's end");
      if (!block.endStream) throw new Http2Error("PROTOCOL_ERROR", "trailers do not end their stream");
      if (list.isTooLong) throw new Http2Error("ENHANCE_YOUR_CALM", "trailers are too long");
      const problem = trailersProblem(list.fields);
      if (problem !== undefined) throw new Http2Error("PROTOCOL_ERROR", problem);
      countBody(stream, 0, true);
      this.#newStreams.passBlock(streamId, list, true);
      streams.endByClient(streamId, stream);
      return;
    }
    const closing = streams.closing(streamId);
    if (closing === "refused" || closing === "sandbox-reset") return;
    if (closing !== undefined) throw new Http2Error("STREAM_CLOSED", "HEADERS are of a stream that is over");
    this.#newStreams.begin(block, list);
  }

  #onReset(streamId: number, frame: Buffer): void {
    const { rates, streams, toSandbox } = this.#shared;
    rates.reset();
    if (streams.isIdle(streamId)) throw new Http2Error("PROTOCOL_ERROR", "a stream is reset that was not begun");
    if (streams.open(streamId) === undefined) return;
    toSandbox.pass(frame);
    streams.close(streamId, "client-reset");
  }

  #onSettings(flags: number, frame: Buffer): void {
    const { rates, settings, toSandbox } = this.#shared;
    rates.control();
    if ((flags & FLAG.ack) === 0) toSandbox.add(settings.fromClient(frame));
    else if (settings.acknowledgedByClient()) toSandbox.pass(frame);
  }

  #onPing(flags: number, frame: Buffer): void {
    const { drain, pings, rates, toSandbox } = this.#shared;
    rates.control();
    if ((flags & FLAG.ack) === 0) pings.askedByClient();
    else if (drain.takePong(frame) || !pings.answeredByClient()) return;
    toSandbox.pass(frame);
  }

  #onWindowUpdate(streamId: number, frame: Buffer): void {
    const { streams, toSandbox } = this.#shared;
    if ((frame.readUInt32BE(FRAME_HEAD_BYTES) & MAX_31_BITS) === 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a window is updated by nothing");
    }
    if (streamId !== 0 && streams.isIdle(streamId)) {
      throw new Http2Error("PROTOCOL_ERROR", "WINDOW_UPDATE is of a stream that was not begun");
    }
    if (streamId === 0 || streams.open(streamId) !== undefined) toSandbox.pass(frame);
  }
}

/**
 * Content-Length has to add up (section 8.1.1): whoever sits behind and speaks HTTP/1.1 onward would take the rest for another
 * request.
 */
function countBody(stream: Stream, bytes: number, isLast: boolean): void {
  if (stream.bytesLeft === undefined) return;
  stream.bytesLeft -= bytes;
  if (stream.bytesLeft < 0 || (isLast && stream.bytesLeft !== 0)) {
    throw new Http2Error("PROTOCOL_ERROR", "a body is not as long as its Content-Length");
  }
}
