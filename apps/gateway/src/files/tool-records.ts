// The words of init's second mode (apps/init/README.md, "Files"): its answer as typed records, our input as bytes. The
// tenant can trace the tool or take its place: every field is bounded here, and file bytes pass as they come.
import { AppError } from "@sallyport/appkit/errors";
import { FileType } from "@sallyport/contracts";

/** What the tool says. File bytes come in pieces of any size. */
export type ToolRecord =
  | { readonly type: "info"; readonly info: ToolFileInfo }
  | { readonly type: "data"; readonly data: Buffer }
  | { readonly type: "end"; readonly number: number }
  | { readonly type: "failure"; readonly failure: ToolFailure; readonly errno: number };

/** What is at a path. */
export interface ToolFileInfo {
  /** In a list. Bytes that are no UTF-8 become U+FFFD. */
  readonly name: string;
  readonly type: FileType;
  readonly size: number;
  readonly mode: number;
  readonly modifiedAt: Date;
}

/** Why an operation failed, beside what errno says. */
export type ToolFailure = "system" | "type" | "input" | "too-many";

const HEADER_BYTES = 5;
const RECORD = { info: 1, data: 2, end: 3, failure: 4 } as const;
const FAILURES: readonly ToolFailure[] = ["system", "type", "input", "too-many"];
const FILE_TYPES: readonly FileType[] = [FileType.FILE, FileType.DIRECTORY, FileType.SYMLINK, FileType.OTHER];
const INFO_BYTES = 27;
const MAX_NAME_BYTES = 255;
const MAX_MODE = 0o7777;
/** The seconds that a Timestamp holds, years 1 to 9999: a file may be dated otherwise, an answer may not. */
const MIN_SECONDS: number = Date.parse("0001-01-01T00:00:00Z") / 1_000;
const MAX_SECONDS: number = Date.parse("9999-12-31T23:59:59Z") / 1_000;

/** Cuts the tool's output into records. */
export class ToolRecordReader {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #type = 0;
  #dataLeft = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  #over = false;

  /** Whether the last record was read. */
  get over(): boolean {
    return this.#over;
  }

  /** Takes the next bytes. File bytes are a view of `chunk`. Throws FailedPrecondition for what the tool never says. */
  *push(chunk: Buffer): Generator<ToolRecord, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#over) throw outOfShape();
      if (this.#dataLeft > 0) {
        const data = chunk.subarray(at, at + this.#dataLeft);
        this.#dataLeft -= data.length;
        at += data.length;
        yield { type: "data", data };
      } else if (this.#payload === undefined) {
        const copied = chunk.copy(this.#header, this.#headerBytes, at);
        this.#headerBytes += copied;
        at += copied;
        if (this.#headerBytes === HEADER_BYTES) this.#begin();
      } else {
        const copied = chunk.copy(this.#payload, this.#payloadBytes, at);
        this.#payloadBytes += copied;
        at += copied;
        if (this.#payloadBytes === this.#payload.length) yield this.#finish(this.#payload);
      }
    }
  }

  #begin(): void {
    this.#headerBytes = 0;
    this.#type = this.#header.readUInt8(0);
    const length = this.#header.readUInt32BE(1);
    const [min, max] = sizesOf(this.#type);
    if (length < min || length > max) throw outOfShape();
    if (this.#type === RECORD.data) this.#dataLeft = length;
    else {
      this.#payload = Buffer.allocUnsafe(length);
      this.#payloadBytes = 0;
    }
  }

  #finish(payload: Buffer): ToolRecord {
    this.#payload = undefined;
    if (this.#type === RECORD.info) return { type: "info", info: infoOf(payload) };
    this.#over = true;
    if (this.#type === RECORD.end) return { type: "end", number: numberOf(payload, 0) };
    const failure = FAILURES[payload.readUInt8(0)];
    if (failure === undefined) throw outOfShape();
    return { type: "failure", failure, errno: payload.readUInt32BE(1) };
  }
}

function sizesOf(type: number): readonly [min: number, max: number] {
  switch (type) {
    case RECORD.info:
      return [INFO_BYTES, INFO_BYTES + MAX_NAME_BYTES];
    case RECORD.data:
      return [1, 2 ** 32 - 1];
    case RECORD.end:
      return [8, 8];
    case RECORD.failure:
      return [5, 5];
    default:
      throw outOfShape();
  }
}

function infoOf(payload: Buffer): ToolFileInfo {
  const type = FILE_TYPES[payload.readUInt8(0) - 1];
  const mode = payload.readUInt32BE(1);
  const nanoseconds = payload.readUInt32BE(21);
  const nameBytes = payload.readUInt16BE(25);
  if (type === undefined || mode > MAX_MODE || nanoseconds >= 1e9 || INFO_BYTES + nameBytes !== payload.length) {
    throw outOfShape();
  }
  const seconds = Number(payload.readBigInt64BE(13));
  // Before 1970 whole seconds have to do: the generated code would write what is left of one as a negative number.
  const ms = seconds < 0 ? 0 : Math.floor(nanoseconds / 1e6);
  const name = payload.toString("utf8", INFO_BYTES);
  return {
    name,
    type,
    size: numberOf(payload, 5),
    mode,
    modifiedAt: new Date(Math.max(MIN_SECONDS, Math.min(MAX_SECONDS, seconds)) * 1_000 + ms),
  };
}

/** Beyond 2^53 - 1 a size is no longer exact, and no use either. */
function numberOf(payload: Buffer, at: number): number {
  const number = payload.readBigUInt64BE(at);
  return number > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(number);
}

/** A tool that speaks otherwise was tampered with. */
export function outOfShape(): AppError {
  return new AppError("FailedPrecondition", "the sandbox's answer about its files is out of shape");
}

const INPUT_DATA = 1;
const INPUT_END = 2;

/** The head of so many file bytes, which follow. */
export function inputDataHead(length: number): Buffer {
  return head(INPUT_DATA, length, HEADER_BYTES);
}

/** The file is whole with so many bytes. */
export function inputEnd(total: number): Buffer {
  const bytes = head(INPUT_END, 8, HEADER_BYTES + 8);
  bytes.writeBigUInt64BE(BigInt(total), HEADER_BYTES);
  return bytes;
}

function head(type: number, length: number, allocated: number): Buffer {
  const bytes = Buffer.allocUnsafe(allocated);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
