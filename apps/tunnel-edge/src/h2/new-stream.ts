// Begins streams: hands requests on to the sandbox, encoded anew, and answers those that are not for it.
import type { ErrorName, HeaderBlock, HeaderList } from "@sallyport/dataplane/http2";
import {
  DEFAULT_MAX_FRAME_BYTES,
  encodeHeaders,
  Http2Error,
  headersFrames,
  rstStreamFrame,
} from "@sallyport/dataplane/http2";
import { decideRequest } from "./request-decision.ts";
import type { Shared } from "./shared.ts";

export class NewStreams {
  readonly #shared: Shared;
  /**
   * No block to the sandbox uses a table, so one that is not handed on leaves no gap in what its decoder knows. That the
   * table has no bytes is said once, in the first block, and holds whatever table the sandbox then offers.
   */
  #tableBytes: 0 | undefined = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Throws for a stream that cannot be begun. */
  begin(block: HeaderBlock, list: HeaderList): void {
    const { drain, limits, place, settings, streams } = this.#shared;
    const { endStream, streamId } = block;
    if (!streams.isIdle(streamId) || streamId % 2 === 0) {
      throw new Http2Error("PROTOCOL_ERROR", "a client begins a stream that is not its next one");
    }
    if (drain.refusesStreams || streams.openCount >= limits.maxStreams) {
      this.#reset(streamId, "REFUSED_STREAM");
      return;
    }
    const decision = decideRequest(list, place, settings.allowsConnectProtocol);
    switch (decision.kind) {
      case "pass":
        this.#pass(block, list, decision.contentLength);
        break;
      case "answer":
        this.#answer(streamId, decision.status, endStream);
        break;
      case "reset":
        this.#reset(streamId, decision.code);
        break;
    }
  }

  /** A header block for the sandbox. */
  passBlock(streamId: number, { fields }: HeaderList, endStream: boolean): void {
    const block = encodeHeaders(fields, this.#tableBytes);
    this.#tableBytes = undefined;
    this.#shared.toSandbox.add(headersFrames(streamId, block, endStream, DEFAULT_MAX_FRAME_BYTES));
  }

  #pass({ endStream, streamId }: HeaderBlock, list: HeaderList, contentLength: number | undefined): void {
    if (endStream && contentLength !== undefined && contentLength > 0) {
      this.#reset(streamId, "PROTOCOL_ERROR");
      return;
    }
    this.#shared.streams.begin(streamId, endStream, contentLength);
    this.passBlock(streamId, list, endStream);
  }

  #answer(streamId: number, status: 421 | 431, isWhole: boolean): void {
    const { rates, settings, streams, toClient } = this.#shared;
    streams.refuse(streamId);
    rates.refusal();
    // Indexes nothing: the table that the client decodes by is between it and the sandbox.
    const block = encodeHeaders(
      [
        { name: ":status", value: String(status), sensitive: false },
        { name: "content-length", value: "0", sensitive: false },
      ],
      settings.takeOwedTableBytes(),
    );
    toClient.add(headersFrames(streamId, block, true, DEFAULT_MAX_FRAME_BYTES));
    // The answer is whole, and the rest of the request wanted by nobody (section 8.1).
    if (!isWhole) toClient.add(rstStreamFrame(streamId, "NO_ERROR"));
  }

  #reset(streamId: number, code: ErrorName): void {
    const { rates, streams, toClient } = this.#shared;
    streams.refuse(streamId);
    rates.refusal();
    rates.reset();
    toClient.add(rstStreamFrame(streamId, code));
  }
}
