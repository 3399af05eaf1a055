// What runsc keeps of its containers, and its verbs. runsc takes any prefix of an id for the id: only whole ids of our
// fixed length are given to it, and an answer counts only when it names the same one.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../system/command.ts";
import { isContainerId } from "../container-id.ts";
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

const VERB_TIMEOUT_MS = 20_000;

export async function startContainer(options: RunscOptions, containerId: string): Promise<void> {
  const command = [options.runsc, ...options.flags, "start", wholeId(containerId)] as const;
  try {
    await run(options.hide !== undefined ? [options.hide, ...command] : command, { timeoutMs: VERB_TIMEOUT_MS });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `the sandbox could not be started: ${wordsOf(error)}`, error);
  }
}

/** Removes a container from runsc's books, and the files that a killed runsc leaves in them. */
export async function deleteContainer(options: RunscOptions, containerId: string): Promise<void> {
  if (await hasState(options.root, wholeId(containerId))) {
    try {
      await verb(options, ["delete", "--force", containerId]);
    } catch (error) {
      if (await hasState(options.root, containerId)) {
        throw new RuntimeError("NotGone", `the sandbox could not be deleted: ${wordsOf(error)}`, error);
      }
    }
  }
  const left = (await listState(options.root)).filter((file) => file.containerId === containerId);
  await Promise.all(left.map((file) => rm(join(options.root, file.name), { force: true, recursive: true })));
}

/** Ids in runsc's books, whole or half written. */
export async function idsInState(root: string): Promise<string[]> {
  return [...new Set((await listState(root)).map((file) => file.containerId))];
}

async function hasState(root: string, containerId: string): Promise<boolean> {
  return (await listState(root)).some((file) => file.containerId === containerId && file.name.endsWith(".state"));
}

/** Files are named `<id>_sandbox:<id>.state`, the same with `.lock`, and `runsc-<id>.sock`. */
async function listState(root: string): Promise<{ readonly name: string; readonly containerId: string }[]> {
  const names = await readdir(root);
  return names.flatMap((name) => {
    const containerId = /^(?:runsc-)?((?:bx|in)-[0-9a-z]{26})[_.]/.exec(name)?.[1];
    return containerId !== undefined && isContainerId(containerId) ? [{ name, containerId }] : [];
  });
}

function verb(options: RunscOptions, words: readonly string[]): Promise<{ readonly stdout: string }> {
  return run([options.runsc, ...options.flags, ...words], { timeoutMs: VERB_TIMEOUT_MS });
}

function wholeId(containerId: string): string {
  if (!isContainerId(containerId)) throw new TypeError("not a container id");
  return containerId;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
