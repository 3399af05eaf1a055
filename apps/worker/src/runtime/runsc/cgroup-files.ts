// What both versions of cgroups share: their files are read and written alike.
import { readFile, writeFile } from "node:fs/promises";
import type { LimitCounters, SandboxLimits } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";

/** What differs between the two versions. Directories are those of one container. */
export interface CgroupFlavour {
  /** Directories under which this platform's own lie, one per controller in version 1. */
  readonly roots: readonly string[];
  /** Prepares a fresh directory's parent so that limits can be set in it. */
  prepareParent(parents: readonly string[]): Promise<void>;
  /** Prepares fresh directories so that processes can join. */
  prepare(directories: readonly string[]): Promise<void>;
  /** Memory and tasks; processor time where `cpu` is true. */
  limit(directories: readonly string[], limits: SandboxLimits, cpu: boolean): Promise<void>;
  counters(directories: readonly string[]): Promise<LimitCounters>;
  /** The file that freezes and thaws. */
  freezer(directories: readonly string[]): Freezer | undefined;
  /** Lets processes die that were killed, though the platform's own directory is frozen. */
  letDie(pids: ReadonlySet<number>): Promise<void>;
}

/** How one version freezes: words for a file that is written, and the one that tells when it has taken effect. */
export interface Freezer {
  readonly control: string;
  readonly freeze: string;
  readonly thaw: string;
  /** Whether freezing was asked for: what is being frozen counts. */
  isAsked(): Promise<boolean>;
  /** Whether every process inside stands still. */
  isFrozen(): Promise<boolean>;
}

/** Reads a counter such as `oom_kill 3` from a file of several; 0 where there is none. */
export async function readCounter(path: string, name: string): Promise<number> {
  const line = (await readText(path)).split("\n").find((text) => text.startsWith(`${name} `));
  const value = Number(line?.slice(name.length + 1));
  return Number.isSafeInteger(value) ? value : 0;
}

/** The text of a cgroup file; empty where it does not exist. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return ""; // no such controller here, or the cgroup is gone
  }
}

/** Writes a cgroup file that must exist. */
export async function writeLimit(path: string, value: string): Promise<void> {
  try {
    await writeFile(path, value, { flag: "r+" });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `the limit ${path} could not be set`, error);
  }
}
