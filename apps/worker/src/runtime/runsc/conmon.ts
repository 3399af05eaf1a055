// Creating a sandbox under conmon, which supervises it whatever becomes of the worker, and writes down how it ended.
import { once } from "node:events";
import type { Readable } from "node:stream";
import { start } from "../../system/command.ts";
import type { SandboxProcesses } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import { type BundlePaths, readPidFile } from "./bundle.ts";
import { identify } from "./processes.ts";

export interface ConmonOptions {
  readonly conmon: string;
  readonly runsc: string;
  /** Flags of runsc, before its verb. */
  readonly runscFlags: readonly string[];
  readonly containerId: string;
  readonly bundle: BundlePaths;
  /** Where conmon writes the exit code, in a file named for the container. */
  readonly exitDirectory: string;
  readonly timeoutMs: number;
}

/** The file descriptor on which conmon says how `create` went. */
const SYNC_FD = 3;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Resolves when the container is created. On failure or timeout something of it may be left: the caller destroys it. */
export async function createUnderConmon(options: ConmonOptions): Promise<SandboxProcesses> {
  const { containerId, bundle } = options;
  const identity = ["--api-version", "1", "-c", containerId, "-u", containerId, "-n", containerId];
  const places = ["-r", options.runsc, "-b", bundle.directory, "-p", bundle.sandboxPid, "-P", bundle.conmonPid];
  // What init itself writes is nothing; the output of a tenant's processes goes through the gateway.
  const outputs = ["-l", "none", "--exit-dir", options.exitDirectory, "--persist-dir", bundle.directory];
  const runtimeArguments = options.runscFlags.flatMap((flag) => ["--runtime-arg", flag]);
  const child = start([options.conmon, ...identity, ...places, ...outputs, "--full-attach", ...runtimeArguments], {
    // conmon drops a file named "oom" into its working directory.
    cwd: bundle.directory,
    env: { _OCI_SYNCPIPE: String(SYNC_FD) },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    detached: true,
  });
  const sync = child.stdio[SYNC_FD] as Readable;
  const errors = collectText(child.stderr);
  const failed = once(child, "error").then(([error]: unknown[]) => {
    throw new RuntimeError("RuntimeFailed", "conmon could not be started", error);
  });
  failed.catch(ignoreOnceAnswered);
  try {
    const answer = await Promise.race([readLine(sync, options.timeoutMs), failed]);
    const sandboxPid = createdPid(answer, errors());
    const conmonPid = await readPidFile(bundle.conmonPid);
    const [sandbox, supervisor] = await Promise.all([
      identify(sandboxPid),
      conmonPid === undefined ? undefined : identify(conmonPid),
    ]);
    if (sandbox === undefined) throw new RuntimeError("RuntimeFailed", "the sandbox ended while it was created");
    return { sandbox, supervisor };
  } finally {
    sync.destroy();
    child.stderr?.destroy();
    child.unref();
  }
}

function ignoreOnceAnswered(): void {
  // The race above has told the caller already.
}

/** conmon answers `{"data":PID}`, or a negative number and what the runtime said. */
function createdPid(answer: string | undefined, errors: string): number {
  if (answer === undefined) {
    throw new RuntimeError("RuntimeFailed", `conmon ended without an answer${errors === "" ? "" : `: ${errors}`}`);
  }
  let data: unknown;
  let message: unknown;
  try {
    ({ data, message } = JSON.parse(answer) as { data?: unknown; message?: unknown });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", "conmon's answer is not JSON", error);
  }
  if (typeof data === "number" && Number.isSafeInteger(data) && data > 0) return data;
  const said = typeof message === "string" ? message.trim().slice(-1_000) : "no reason given";
  throw new RuntimeError("RuntimeFailed", `the sandbox could not be created: ${said}`);
}

/** The first line, or undefined when the stream ends without one. */
function readLine(stream: Readable, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => {
      reject(new RuntimeError("RuntimeFailed", `the sandbox was not created within ${timeoutMs} ms`));
    }, timeoutMs);
    const settle = (line: string | undefined) => {
      clearTimeout(timer);
      resolve(line);
    };
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0 || text.length > MAX_ANSWER_BYTES) settle(end >= 0 ? text.slice(0, end) : text);
    });
    stream.on("end", () => settle(text === "" ? undefined : text));
    stream.on("error", () => settle(undefined));
  });
}

function collectText(stream: Readable | null): () => string {
  let text = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    if (text.length < 4_096) text += chunk;
  });
  return () => text.trim().slice(-1_000);
}
