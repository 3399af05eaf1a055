// What runsc keeps of its containers, and its verbs. runsc takes any prefix of an id for the id: only whole ids of our
// fixed length are given to it, and an answer counts only when it names the same one.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "@sallyport/contracts";
import { z } from "zod";
import { run } from "../../system/command.ts";
import { RuntimeError } from "../runtime.ts";

export interface RunscOptions {
  readonly runsc: string;
  /** Flags before the verb. */
  readonly flags: readonly string[];
  /** Its state directory. */
  readonly root: string;
  /** The program that hides /proc/sys/net for `start`; unset where this runsc does not need it. */
  readonly hide: string | undefined;
}

export interface ContainerState {
  readonly status: "creating" | "created" | "running" | "paused" | "stopped";
  readonly pid: number;
}

const answerShape = z.object({
  id: z.string(),
  status: z.enum(["creating", "created", "running", "paused", "stopped"]),
  pid: z.int().optional(),
});

const VERB_TIMEOUT_MS = 20_000;

/** Asks runsc; undefined when it has no such container. */
export async function containerState(options: RunscOptions, instanceId: string): Promise<ContainerState | undefined> {
  if (!(await hasState(options.root, wholeId(instanceId)))) return undefined;
  const { stdout } = await verb(options, ["state", instanceId]);
  const answer = answerShape.safeParse(JSON.parse(stdout));
  if (!answer.success || answer.data.id !== instanceId) {
    throw new RuntimeError("RuntimeFailed", `runsc answered for another container than ${instanceId}`);
  }
  return { status: answer.data.status, pid: answer.data.pid ?? 0 };
}

export async function startContainer(options: RunscOptions, instanceId: string): Promise<void> {
  const command = [options.runsc, ...options.flags, "start", wholeId(instanceId)] as const;
  try {
    await run(options.hide !== undefined ? [options.hide, ...command] : command, { timeoutMs: VERB_TIMEOUT_MS });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `the sandbox could not be started: ${wordsOf(error)}`, error);
  }
}

/** Removes a container from runsc's books, and the files that a killed runsc leaves in them. */
export async function deleteContainer(options: RunscOptions, instanceId: string): Promise<void> {
  if (await hasState(options.root, wholeId(instanceId))) {
    try {
      await verb(options, ["delete", "--force", instanceId]);
    } catch (error) {
      if (await hasState(options.root, instanceId)) {
        throw new RuntimeError("NotGone", `the sandbox could not be deleted: ${wordsOf(error)}`, error);
      }
    }
  }
  const left = (await listState(options.root)).filter((file) => file.instanceId === instanceId);
  await Promise.all(left.map((file) => rm(join(options.root, file.name), { force: true, recursive: true })));
}

/** Ids in runsc's books, whole or half written. */
export async function idsInState(root: string): Promise<string[]> {
  return [...new Set((await listState(root)).map((file) => file.instanceId))];
}

async function hasState(root: string, instanceId: string): Promise<boolean> {
  return (await listState(root)).some((file) => file.instanceId === instanceId && file.name.endsWith(".state"));
}

/** Files are named `<id>_sandbox:<id>.state`, the same with `.lock`, and `runsc-<id>.sock`. */
async function listState(root: string): Promise<{ readonly name: string; readonly instanceId: string }[]> {
  const names = await readdir(root);
  return names.flatMap((name) => {
    const instanceId = /^(?:runsc-)?(in-[0-9a-z]{26})[_.]/.exec(name)?.[1];
    return instanceId !== undefined && isId("instance", instanceId) ? [{ name, instanceId }] : [];
  });
}

function verb(options: RunscOptions, words: readonly string[]): Promise<{ readonly stdout: string }> {
  return run([options.runsc, ...options.flags, ...words], { timeoutMs: VERB_TIMEOUT_MS });
}

function wholeId(instanceId: string): string {
  if (!isId("instance", instanceId)) throw new TypeError("not an instance id");
  return instanceId;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
