// Reads one body off the bytes that follow a head: knows where it ends, and hands out its content alone.
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { BadMessage } from "../bad-message.ts";
import type { Framing } from "../head/framing.ts";
import { ChunkedReader } from "./chunked-reader.ts";

export interface BodyReader {
  /** All of the body was read. */
  readonly done: boolean;
  /** The fields behind a chunked body, as they came; known once it is done. */
  readonly trailers: readonly RawHeader[];
  /**
   * Takes the bytes from `from` on as far as they are of the body. Content goes to `emit`, as parts of the same bytes.
   * Returns where the first byte behind the body is. Throws `BadMessage`.
   */
  read(bytes: Buffer, from: number, emit: (content: Buffer) => void): number;
  /** Whether the body is whole if the peer sends no more. */
  isWholeAtEnd(): boolean;
}

/** Makes the error that tells what is wrong with a body. */
export type Complain = (problem: string) => BadMessage;

export function bodyReader(framing: Framing, complain: Complain): BodyReader {
  switch (framing.kind) {
    case "none":
      return NOTHING;
    case "length":
      return new LengthReader(framing.length);
    case "chunked":
      return new ChunkedReader(complain);
    case "close":
      return new CloseReader();
  }
}

const NO_TRAILERS: readonly RawHeader[] = [];

class LengthReader implements BodyReader {
  readonly trailers = NO_TRAILERS;
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  read(bytes: Buffer, from: number, emit: (content: Buffer) => void): number {
    const count = Math.min(this.#left, bytes.length - from);
    if (count === 0) return from;
    this.#left -= count;
    emit(count === bytes.length ? bytes : bytes.subarray(from, from + count));
    return from + count;
  }

  isWholeAtEnd(): boolean {
    return this.done;
  }
}

/** It never changes. */
const NOTHING: BodyReader = new LengthReader(0);

class CloseReader implements BodyReader {
  readonly trailers = NO_TRAILERS;
  readonly done = false;

  read(bytes: Buffer, from: number, emit: (content: Buffer) => void): number {
    if (from < bytes.length) emit(from === 0 ? bytes : bytes.subarray(from));
    return bytes.length;
  }

  isWholeAtEnd(): boolean {
    return true;
  }
}
