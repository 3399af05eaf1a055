// What the spool knows besides bytes: a record for each instance and each exec, as lines of JSON of which the last whole
// one counts. Appended, since a file put in place of another costs ext4 a flush of its data; synchronously, since a
// record is small and must be there before the next frame goes to init.
import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EXEC_ID_PATTERN, isId } from "@sallyport/contracts";
import { z } from "zod";
import type { StartCommand } from "../init/messages.ts";
import { MAX_KEPT_ARGV_BYTES } from "../limits.ts";

const bytes = z.int().min(0);

const instanceRecord = z.object({
  version: z.literal(1),
  instanceId: z.string().refine((id) => isId("instance", id)),
  sandboxId: z.string().refine((id) => isId("sandbox", id)),
  generation: z.int(),
  /** Since when it is detached; null while it may run. */
  detachedAtMs: z.number().nullable(),
});
/** What is kept of an instance. */
export type InstanceRecord = z.infer<typeof instanceRecord>;

const execRecord = z.object({
  version: z.literal(1),
  execId: z.string().regex(EXEC_ID_PATTERN),
  createdAtMs: z.number(),
  /** Of the request: the same id with another command is a mistake of the caller's. */
  fingerprint: z.string(),
  /** What it runs, as much of it as is kept to be shown. */
  argv: z.array(z.string()).default([]),
  pty: z.boolean().default(false),
  stdin: z.boolean(),
  /** Whether init has said that it runs. */
  started: z.boolean(),
  deadlineAtMs: z.number().nullable(),
  /** Whether it was killed because of its deadline. */
  timedOut: z.boolean(),
  /** Where standard input ends, once the caller has said so. */
  inputEnd: bytes.nullable(),
  stdoutEnd: bytes.nullable(),
  stderrEnd: bytes.nullable(),
  exit: z.object({ kind: z.enum(["exited", "signalled", "terminated"]), value: z.int().min(0).max(255) }).nullable(),
  endedAtMs: z.number().nullable().default(null),
});
/** What is kept of an exec. */
export type ExecRecord = z.infer<typeof execRecord>;

type NewCommand = Pick<StartCommand, "execId" | "argv" | "pty" | "stdin">;

/** The record of an exec that init has not heard of yet. */
export function newExecRecord(
  { argv, execId, pty, stdin }: NewCommand,
  given: Pick<ExecRecord, "createdAtMs" | "fingerprint" | "deadlineAtMs">,
): ExecRecord {
  const command = { execId, argv: keptArgv(argv), pty: pty !== undefined, stdin };
  const ends = { inputEnd: null, stdoutEnd: null, stderrEnd: null, exit: null, endedAtMs: null };
  return { version: 1, ...command, ...given, started: false, timedOut: false, ...ends };
}

/** As much of a command as is kept to be shown: whole arguments, and the beginning of the first that is too long. */
function keptArgv(argv: readonly string[]): string[] {
  const kept: string[] = [];
  let left = MAX_KEPT_ARGV_BYTES;
  for (const argument of argv) {
    const size = Buffer.byteLength(argument) + 1;
    if (size > left) {
      kept.push(
        `${Buffer.from(argument)
          .subarray(0, left)
          .toString("utf8")
          .replace(/\ufffd+$/u, "")}…`,
      );
      return kept;
    }
    kept.push(argument);
    left -= size;
  }
  return kept;
}

const FILE = "record.jsonl";

/** Makes the folder of an instance or exec. */
export function makeFolder(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Writes the record of an instance into its folder. */
export function writeInstanceRecord(directory: string, record: InstanceRecord): void {
  write(directory, record);
}

/** Writes the record of an exec into its folder. */
export function writeExecRecord(directory: string, record: ExecRecord): void {
  write(directory, record);
}

/** A record that was found with its folder. */
export interface Found<Record> {
  readonly directory: string;
  readonly record: Record;
}

/** What lies in a folder of folders. Folders without a readable record are given to `onBroken`. */
export function findInstances(root: string, onBroken: (directory: string) => void): Found<InstanceRecord>[] {
  return find(root, instanceRecord, onBroken);
}

/** As {@link findInstances}, for the execs of an instance. */
export function findExecs(root: string, onBroken: (directory: string) => void): Found<ExecRecord>[] {
  return find(root, execRecord, onBroken);
}

/** Takes a folder away at once, so that its name is free, and removes it in the trash folder afterwards. */
export async function discard(directory: string, trash: string): Promise<void> {
  const moved = join(trash, randomUUID());
  makeFolder(trash);
  renameSync(directory, moved);
  await rm(moved, { recursive: true, force: true });
}

function write(directory: string, record: object): void {
  appendFileSync(join(directory, FILE), `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

function find<Record>(root: string, shape: z.ZodType<Record>, onBroken: (directory: string) => void): Found<Record>[] {
  const found: Found<Record>[] = [];
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const directory = join(root, entry.name);
    const record = read(directory, shape);
    if (record === undefined) onBroken(directory);
    else found.push({ directory, record });
  }
  return found;
}

/** The last whole line. A line that a full disk cut short is passed over. */
function read<Record>(directory: string, shape: z.ZodType<Record>): Record | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(directory, FILE), "utf8").split("\n");
  } catch {
    return undefined; // nothing was written: its process was never started either
  }
  for (const line of lines.toReversed()) {
    const record = shape.safeParse(parseJson(line)).data;
    if (record !== undefined) return record;
  }
  return undefined;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
