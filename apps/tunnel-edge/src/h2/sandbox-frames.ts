// Frames of a sandbox, which is in a tenant's hands: they go on to the client, as they are, on streams that it was given.
import type { FrameSink } from "@sallyport/dataplane/http2";
import { ERROR_CODE, FLAG, FRAME, FRAME_HEAD_BYTES, Http2Error, MAX_31_BITS } from "@sallyport/dataplane/http2";
import type { Shared } from "./shared.ts";

/** Resets that answer what a client did wrong, which it can have as many of as it likes (CVE-2025-8671). */
const PROVOKED: ReadonlySet<number> = new Set([
  ERROR_CODE.PROTOCOL_ERROR,
  ERROR_CODE.FLOW_CONTROL_ERROR,
  ERROR_CODE.STREAM_CLOSED,
  ERROR_CODE.FRAME_SIZE_ERROR,
  ERROR_CODE.COMPRESSION_ERROR,
]);

export class SandboxFrames implements FrameSink {
  readonly #shared: Shared;
  #hasSettings = false;
  /** Of the header block that is under way; 0: none is. */
  #blockStreamId = 0;
  #continuations = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  get hasSettings(): boolean {
    return this.#hasSettings;
  }

  onFrame(type: number, flags: number, streamId: number, frame: Buffer): void {
    if (!this.#hasSettings) this.#checkFirst(type, flags);
    if ((type === FRAME.continuation ? streamId : 0) !== this.#blockStreamId) {
      throw new Http2Error("PROTOCOL_ERROR", "a header block is interrupted, or continued where there is none");
    }
    const { drain, toClient } = this.#shared;
    switch (type) {
      case FRAME.data:
        this.#onMessage(flags, streamId, frame);
        break;
      case FRAME.headers:
        // Not decoded: client and sandbox share a table, and every block has to reach the client.
        this.#shared.settings.takeOwedTableBytes();
        this.#onMessage(flags, streamId, frame);
        this.#continuations = 0;
        this.#setBlock(flags, streamId);
        break;
      case FRAME.continuation:
        this.#onContinuation(flags, streamId, frame);
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
        drain.onOtherGoaway(frame.readUInt32BE(FRAME_HEAD_BYTES) & MAX_31_BITS);
        toClient.pass(frame);
        break;
      case FRAME.windowUpdate:
        this.#onWindowUpdate(streamId, frame);
        break;
      case FRAME.pushPromise:
        throw new Http2Error("PROTOCOL_ERROR", "a push is promised that was turned off");
      default:
      // PRIORITY, and extensions: ORIGIN would claim other hosts under the certificate, ALTSVC lead clients elsewhere.
    }
  }

  #checkFirst(type: number, flags: number): void {
    if (type !== FRAME.settings || (flags & FLAG.ack) !== 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a server's first frame is not SETTINGS");
    }
    this.#hasSettings = true;
  }

  /** DATA and HEADERS. */
  #onMessage(flags: number, streamId: number, frame: Buffer): void {
    const { streams, toClient } = this.#shared;
    const stream = streams.open(streamId);
    // The client's reset may not have reached it; the client counts such DATA, and decodes such HEADERS (section 5.1).
    const isLate = stream === undefined && streams.closing(streamId) === "client-reset";
    if (!isLate && (stream === undefined || stream.sandboxEnded)) {
      throw new Http2Error("STREAM_CLOSED", "a message comes on a stream that does not wait for one");
    }
    toClient.pass(frame);
    if (stream !== undefined && (flags & FLAG.endStream) !== 0) streams.endBySandbox(streamId, stream);
  }

  #onContinuation(flags: number, streamId: number, frame: Buffer): void {
    this.#continuations += 1;
    if (this.#blockStreamId === 0 || this.#continuations > this.#shared.limits.maxContinuations) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "a header block has too many frames");
    }
    this.#shared.toClient.pass(frame);
    this.#setBlock(flags, streamId);
  }

  #setBlock(flags: number, streamId: number): void {
    const isAmidBlock = (flags & FLAG.endHeaders) === 0;
    this.#blockStreamId = isAmidBlock ? streamId : 0;
    this.#shared.toClient.setAmidBlock(isAmidBlock);
  }

  #onReset(streamId: number, frame: Buffer): void {
    const { rates, streams, toClient } = this.#shared;
    this.#checkKnown(streamId);
    if (streams.open(streamId) === undefined) return;
    toClient.pass(frame);
    streams.close(streamId, "sandbox-reset");
    if (PROVOKED.has(frame.readUInt32BE(FRAME_HEAD_BYTES))) rates.provokedReset();
  }

  #onSettings(flags: number, frame: Buffer): void {
    const { settings, toClient } = this.#shared;
    if ((flags & FLAG.ack) === 0) {
      toClient.add(settings.fromSandbox(frame));
      return;
    }
    settings.acknowledgedBySandbox();
    toClient.pass(frame);
  }

  #onPing(flags: number, frame: Buffer): void {
    const { pings, toClient } = this.#shared;
    if ((flags & FLAG.ack) === 0) pings.askedBySandbox();
    else if (!pings.answeredBySandbox()) return;
    toClient.pass(frame);
  }

  #onWindowUpdate(streamId: number, frame: Buffer): void {
    const { streams, toClient } = this.#shared;
    if ((frame.readUInt32BE(FRAME_HEAD_BYTES) & MAX_31_BITS) === 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a window is updated by nothing");
    }
    if (streamId !== 0) this.#checkKnown(streamId);
    if (streamId === 0 || streams.open(streamId) !== undefined) toClient.pass(frame);
  }

  /** Of a refused stream a sandbox cannot know. */
  #checkKnown(streamId: number): void {
    const { streams } = this.#shared;
    if (streams.isIdle(streamId) || streams.closing(streamId) === "refused") {
      throw new Http2Error("PROTOCOL_ERROR", "a frame is of a stream that was not begun");
    }
  }
}
