// The program in its second mode: one operation on files, its answer as records.
import type { ChildProcess } from "node:child_process";
import { spawn, spawnSync } from "node:child_process";
import { sanitized } from "./build.ts";

/** A record of the tool's. */
export interface Answer {
  readonly type: number;
  readonly payload: Buffer;
}

const INFO = 1;
export const DATA = 2;
export const END = 3;
export const ERROR = 4;

/** What the tool answered in the end, and how it ended. */
export interface Outcome {
  readonly records: readonly Answer[];
  readonly status: number | null;
  readonly stderr: string;
}

/** Runs an operation to its end. */
export function run(words: readonly string[], input: Buffer = Buffer.alloc(0)): Outcome {
  const child = spawnSync(sanitized("sallyport-init"), ["files", ...words], {
    input,
    maxBuffer: 2 ** 30,
    timeout: 60_000,
  });
  return { records: recordsOf(child.stdout), status: child.status, stderr: child.stderr.toString() };
}

/** Starts an operation whose input comes later. */
export function start(words: readonly string[]): ChildProcess {
  return spawn(sanitized("sallyport-init"), ["files", ...words], { stdio: ["pipe", "pipe", "inherit"] });
}

/** Cuts an output into records; throws when it ends within one. */
export function recordsOf(output: Buffer): Answer[] {
  const records: Answer[] = [];
  for (let at = 0; at < output.length; ) {
    const length = output.readUInt32BE(at + 1);
    const payload = output.subarray(at + 5, at + 5 + length);
    if (payload.length !== length) throw new Error("the output ends within a record");
    records.push({ type: output.readUInt8(at), payload });
    at += 5 + length;
  }
  return records;
}

/** Of a failed operation: its kind and errno. */
export function failureOf({ records, status, stderr }: Outcome): readonly [kind: number, errno: number] {
  const last = records.at(-1);
  if (status !== 1 || last?.type !== ERROR) throw new Error(`no failure: status ${status}\n${stderr}`);
  return [last.payload.readUInt8(0), last.payload.readUInt32BE(1)];
}

/** Of an operation that went well: the number of its END. */
export function endOf({ records, status, stderr }: Outcome): number {
  const last = records.at(-1);
  if (status !== 0 || last?.type !== END) {
    throw new Error(`no end: status ${status}, ${last?.payload.toString("hex")}\n${stderr}`);
  }
  return Number(last.payload.readBigUInt64BE(0));
}

export interface Info {
  readonly type: number;
  readonly mode: number;
  readonly size: number;
  readonly modifiedMs: number;
  readonly name: string;
}

/** What INFO says. */
export function infoOf({ payload, type }: Answer): Info {
  if (type !== INFO) throw new Error(`record ${type} is no INFO`);
  const nameBytes = payload.readUInt16BE(25);
  if (payload.length !== 27 + nameBytes) throw new Error("INFO is out of shape");
  return {
    type: payload.readUInt8(0),
    mode: payload.readUInt32BE(1),
    size: Number(payload.readBigUInt64BE(5)),
    modifiedMs: Number(payload.readBigInt64BE(13)) * 1_000 + payload.readUInt32BE(21) / 1e6,
    name: payload.toString("latin1", 27),
  };
}

/** File bytes in one DATA record of the input. */
export function inputData(bytes: Buffer): Buffer {
  return Buffer.concat([head(1, bytes.length), bytes]);
}

/** The record that says that the file is whole. */
export function inputEnd(total: number): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(total));
  return Buffer.concat([head(2, 8), number]);
}

function head(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(type);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
