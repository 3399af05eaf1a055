// Starting the program that reads strangers' archives: no network, no other process in sight, no way to gain privilege, a
// bound on its memory, and, but for the directory that it fills, a root file system that it cannot write.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { start } from "../../system/command.ts";
import { ImageError } from "../errors.ts";
import { FORGET_DISKS } from "../forget-disks.ts";
import type { ChildJob } from "./child-main.ts";
import type { RootfsJob, RootfsResult } from "./rootfs.ts";

const REFUSED_STATUS = 3;
const MAX_ANSWER_BYTES = 64 * 1024;
const HEAP_MIB = 768;

export interface ArchiveChildOptions {
  /** `cgroup.procs` files that it joins. */
  readonly cgroupFiles: readonly string[];
  readonly signal: AbortSignal;
}

const resultShape = z.object({
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.int().min(0),
  entries: z.int().min(0),
  uid: z.int().min(0),
  gid: z.int().min(0),
});

/** Unpacks an exported root file system. Throws ImageError `Refused` where the archive is. */
export async function unpackRootfsApart(
  archive: Readable,
  job: RootfsJob,
  options: ArchiveChildOptions,
): Promise<RootfsResult> {
  const child = startChild({ kind: "rootfs", ...job }, job.directory, ["chown", "fowner", "dac_override"], options);
  const answer = collect(child.stdout, MAX_ANSWER_BYTES);
  await ended(child, options.signal, [pumpIn(archive, child)]);
  const result = resultShape.safeParse(JSON.parse(answer()));
  if (!result.success) throw new ImageError("MakingFailed", "the image could not be unpacked", result.error);
  return result.data;
}

/** The checked archive of a context. `done` settles with the check: ImageError `Refused` where the archive is. */
export function checkContextApart(
  archive: Readable,
  job: Extract<ChildJob, { kind: "context" }>,
  options: ArchiveChildOptions,
): { readonly output: Readable; readonly done: Promise<void> } {
  const child = startChild(job, "", [], options);
  if (child.stdout === null) throw new TypeError("the child has no output");
  return { output: child.stdout, done: ended(child, options.signal, [pumpIn(archive, child)]) };
}

/** Joins its cgroups, then leaves a root that it cannot write, then keeps only the capabilities that are named. */
const ENTER = `set -eu
n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n-1)); done
${FORGET_DISKS}
if [ -n "$1" ]; then mount --bind "$1" "$1"; fi
mount -o remount,ro,bind /
shift; exec "$@"`;

function startChild(
  job: ChildJob,
  directory: string,
  capabilities: readonly string[],
  { cgroupFiles }: ArchiveChildOptions,
): ChildProcess {
  const program = fileURLToPath(new URL(`./child-main${extname(import.meta.filename)}`, import.meta.url));
  const kept = ["-all", ...capabilities.map((name) => `+${name}`)].join();
  const apart = ["unshare", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const enter = ["sh", "-c", ENTER, "sh", String(cgroupFiles.length), ...cgroupFiles, directory];
  const less = ["setpriv", "--no-new-privs", "--clear-groups", "--inh-caps", "-all", "--bounding-set", kept];
  const conditions = process.execArgv.filter((word) => word.startsWith("--conditions"));
  const node = [process.execPath, ...conditions, `--max-old-space-size=${HEAP_MIB}`, program];
  const child = start(["setpriv", "--pdeathsig", "KILL", ...apart, "--", ...enter, ...less, ...node], {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
  const input = child.stdio[3] as Writable;
  // A child that ends before it has read its job tells why by its status.
  input.on("error", () => input.destroy());
  input.end(JSON.stringify(job));
  return child;
}

/** A child that refuses stops reading: that is told by its status, not by the broken pipe. */
async function pumpIn(archive: Readable, child: ChildProcess): Promise<void> {
  if (child.stdin === null) throw new TypeError("the child has no input");
  await pipeline(archive, child.stdin);
}

async function ended(child: ChildProcess, signal: AbortSignal, pumps: readonly Promise<void>[]): Promise<void> {
  const said = collect(child.stderr, MAX_ANSWER_BYTES);
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    const exit = once(child, "close").then(([status]: unknown[]) => status);
    const [status, ...pumped] = await Promise.allSettled([exit, ...pumps]);
    signal.throwIfAborted();
    if (status.status === "rejected")
      throw new ImageError("MakingFailed", "no archive can be read on this machine", status.reason);
    if (status.value === REFUSED_STATUS) throw new ImageError("Refused", said());
    const broken = pumped.find((pump) => pump.status === "rejected");
    if (status.value !== 0) throw new ImageError("MakingFailed", "the archive could not be read", new Error(said()));
    if (broken?.status === "rejected") throw broken.reason;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function collect(stream: Readable | null, maxBytes: number): () => string {
  let text = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    if (text.length < maxBytes) text += chunk;
  });
  return () => text;
}
