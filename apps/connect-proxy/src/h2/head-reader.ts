// Header blocks of a connection as requests' heads and trailers.
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { HeaderBlock } from "@sallyport/dataplane/http2";
import { DEFAULT_HEADER_TABLE_BYTES, HpackDecoder, trailersProblem } from "@sallyport/dataplane/http2";
import { BadMessage } from "../bad-message.ts";
import { kindOf } from "../head/field-names.ts";
import type { HeadLimits } from "../head/request-head.ts";
import { MAX_HEAD_EXCESS } from "./limits.ts";
import type { StreamHead } from "./stream-head.ts";
import { MalformedStream, readStreamHead } from "./stream-head.ts";

/** A head that unpacks to more than anybody would send: no answer is owed for it. */
class ExcessiveHead extends BadMessage {
  constructor() {
    super("HeadTooLarge", "the request's headers unpack to far more than they may have");
  }
}

/** A head, or what is wrong with it. */
export type ReadHead = StreamHead | BadMessage;

/** Of a block that is remembered for the next one. */
const MAX_REMEMBERED_BYTES = 4_096;

export class HeadReader {
  readonly #limits: HeadLimits;
  readonly #decoder: HpackDecoder;
  /** The last block: many clients say the same again and again, and it means the same while their table stays as it is. */
  #last: { readonly bytes: Buffer; readonly endStream: boolean; readonly revision: number; readonly head: ReadHead };

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.#decoder = new HpackDecoder({
      maxTableBytes: DEFAULT_HEADER_TABLE_BYTES,
      maxListBytes: limits.maxHeadBytes,
    });
    this.#last = { bytes: Buffer.alloc(0), endStream: false, revision: -1, head: new ExcessiveHead() };
  }

  /** Throws `Http2Error` for what cannot be decoded: the connection ends with it. */
  head({ bytes, endStream }: HeaderBlock): ReadHead {
    const last = this.#last;
    const { revision } = this.#decoder;
    if (last.revision === revision && last.endStream === endStream && last.bytes.equals(bytes)) return last.head;
    const head = this.#read(bytes, endStream);
    if (this.#decoder.revision === revision && bytes.length <= MAX_REMEMBERED_BYTES) {
      this.#last = { bytes: Buffer.from(bytes), endStream, revision, head };
    }
    return head;
  }

  /** Undefined: they are malformed (section 8.1). Throws as {@link head} does. */
  trailers({ bytes }: HeaderBlock): readonly RawHeader[] | undefined {
    const { fields, isTooLong } = this.#decoder.decode(bytes);
    if (isTooLong || fields.length > this.#limits.maxHeaders || trailersProblem(fields) !== undefined) return undefined;
    if (fields.some(({ name }) => kindOf(name) === "content-length")) return undefined;
    return fields.map(({ name, value }) => [name, value]);
  }

  /** Of a block that nobody wants: the table has to follow the client's all the same. Throws as {@link head} does. */
  skip({ bytes }: HeaderBlock): void {
    this.#decoder.decode(bytes);
  }

  #read(bytes: Buffer, endStream: boolean): ReadHead {
    const list = this.#decoder.decode(bytes);
    if (list.isTooLong) {
      if (list.bytes > MAX_HEAD_EXCESS * this.#limits.maxHeadBytes) return new ExcessiveHead();
      return new BadMessage("HeadTooLarge", "the request's headers are too large");
    }
    try {
      return readStreamHead(list.fields, endStream, this.#limits);
    } catch (error) {
      if (error instanceof BadMessage) return error;
      throw error;
    }
  }
}

/** Whether what is wrong with a head is nothing to answer. */
export function isResetFor(problem: BadMessage): "PROTOCOL_ERROR" | "ENHANCE_YOUR_CALM" | undefined {
  if (problem instanceof MalformedStream) return "PROTOCOL_ERROR";
  return problem instanceof ExcessiveHead ? "ENHANCE_YOUR_CALM" : undefined;
}
