// The cgroups of sandboxes. They are made, limited and removed here rather than by runsc: runsc takes one that exists
// as it is, without limits, and leaves those of a killed or failed create behind.
import { existsSync } from "node:fs";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import type { LimitCounters, SandboxLimits } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import type { Freezer } from "./cgroup-files.ts";
import { readText, writeLimit } from "./cgroup-files.ts";
import { cgroupV1 } from "./cgroup-v1.ts";
import { cgroupV2 } from "./cgroup-v2.ts";
import { killPid } from "./processes.ts";

export interface Cgroups {
  /** For the OCI configuration. */
  pathOf(containerId: string): string;
  /** Makes them with limits on memory and tasks. */
  create(containerId: string, limits: SandboxLimits): Promise<void>;
  /** Sets all limits. */
  setLimits(containerId: string, limits: SandboxLimits): Promise<void>;
  counters(containerId: string): Promise<LimitCounters>;
  /** Processes inside, as numbers of the machine's own. */
  members(containerId: string): Promise<ReadonlySet<number>>;
  /** Stops every process inside until `thaw`; throws RuntimeError, and leaves it thawed, when that is not to be had. */
  freeze(containerId: string): Promise<void>;
  /** Lets frozen processes go on. Where nothing is frozen, it changes nothing. */
  thaw(containerId: string): Promise<void>;
  /** Whether it was frozen, or is about to be. */
  isFrozen(containerId: string): Promise<boolean>;
  /** Kills what is inside, frozen, held or not; the answer is how many processes were met. */
  kill(containerId: string): Promise<number>;
  /** Removes the directories; throws RuntimeError "NotGone" when a process is left in one. */
  remove(containerId: string): Promise<void>;
  /**
   * Holds everything still that is there, whatever joins and whatever is frozen or thawed meanwhile, until `release`: by
   * the directory that all others are in, which remembers it beyond a kill of the worker. Throws RuntimeError; what stands
   * still by then stays so.
   */
  hold(): Promise<void>;
  /** Lets go on what is not frozen itself. Where nothing is held, it changes nothing. */
  release(): Promise<void>;
  /** Names of everything under the platform's own directory. */
  known(): Promise<string[]>;
  /** Removes the platform's own directory where it is empty. */
  teardown(): Promise<void>;
}

export interface CgroupOptions {
  /** One path component, the platform's own, e.g. "sallyport-0123abcd". */
  readonly prefix: string;
  /** Where cgroups are mounted. */
  readonly mountPoint?: string;
}

const REMOVE_DEADLINE_MS = 3_000;
const FREEZE_DEADLINE_MS = 2_000;

export function openCgroups(options: CgroupOptions): Cgroups {
  const mountPoint = options.mountPoint ?? "/sys/fs/cgroup";
  const flavour = existsSync(`${mountPoint}/cgroup.controllers`) ? cgroupV2(mountPoint) : cgroupV1(mountPoint);
  const parents = flavour.roots.map((root) => `${root}/${options.prefix}`);
  const directoriesOf = (containerId: string) => parents.map((parent) => `${parent}/${containerId}`);
  const members = async (containerId: string) =>
    new Set((await Promise.all(directoriesOf(containerId).map(pidsIn))).flat());
  return {
    pathOf: (containerId) => `/${options.prefix}/${containerId}`,
    async create(containerId, limits) {
      const directories = directoriesOf(containerId);
      await Promise.all(parents.map((parent) => mkdir(parent, { recursive: true, mode: 0o755 })));
      await flavour.prepareParent(parents);
      await Promise.all(directories.map((directory) => mkdir(directory, { recursive: true, mode: 0o755 })));
      await flavour.prepare(directories);
      await flavour.limit(directories, limits, false);
    },
    setLimits: (containerId, limits) => flavour.limit(directoriesOf(containerId), limits, true),
    counters: (containerId) => flavour.counters(directoriesOf(containerId)),
    async hold() {
      const freezer = flavour.freezer(parents);
      if (freezer === undefined || existsSync(freezer.control)) await untilFrozen(freezer);
    },
    release: () => thaw(flavour.freezer(parents)),
    freeze: (containerId) => freeze(flavour.freezer(directoriesOf(containerId))),
    thaw: (containerId) => thaw(flavour.freezer(directoriesOf(containerId))),
    isFrozen: async (containerId) => (await flavour.freezer(directoriesOf(containerId))?.isAsked()) ?? false,
    members,
    async kill(containerId) {
      const directories = directoriesOf(containerId);
      const pids = await members(containerId);
      for (const pid of pids) killPid(pid);
      if (pids.size === 0) return 0;
      await thaw(flavour.freezer(directories));
      if (await flavour.freezer(parents)?.isAsked()) await flavour.letDie(pids);
      return pids.size;
    },
    async remove(containerId) {
      await Promise.all(directoriesOf(containerId).map(removeDirectory));
    },
    async known() {
      const names = await Promise.all(parents.map(subdirectories));
      return [...new Set(names.flat())];
    },
    async teardown() {
      for (const parent of parents) {
        if ((await subdirectories(parent)).length === 0) await removeDirectory(parent);
      }
    },
  };
}

async function freeze(freezer: Freezer | undefined): Promise<void> {
  try {
    await untilFrozen(freezer);
  } catch (error) {
    await thaw(freezer);
    throw error;
  }
}

/** The kernel takes a moment where a process is deep in a system call, and wants to be asked again (version 1). */
async function untilFrozen(freezer: Freezer | undefined): Promise<void> {
  if (freezer === undefined) throw new RuntimeError("RuntimeFailed", "this machine has no cgroup freezer");
  const deadline = performance.now() + FREEZE_DEADLINE_MS;
  for (;;) {
    await writeLimit(freezer.control, freezer.freeze);
    if (await freezer.isFrozen()) return;
    if (performance.now() > deadline) {
      throw new RuntimeError("RuntimeFailed", `not every process stood still within ${FREEZE_DEADLINE_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** So that a kill takes effect, too: one of a frozen process waits for the thaw. */
async function thaw(freezer: Freezer | undefined): Promise<void> {
  if (freezer === undefined || !existsSync(freezer.control)) return;
  await writeLimit(freezer.control, freezer.thaw);
}

async function pidsIn(directory: string): Promise<number[]> {
  const lines = (await readText(`${directory}/cgroup.procs`)).split("\n");
  return lines.filter((line) => line !== "" && line !== "0").map(Number);
}

async function subdirectories(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return []; // never made
  }
}

/** A cgroup stays busy for a moment after its last process ended. */
async function removeDirectory(directory: string): Promise<void> {
  const deadline = performance.now() + REMOVE_DEADLINE_MS;
  for (;;) {
    try {
      await rmdir(directory);
      return;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || performance.now() > deadline) {
        throw new RuntimeError("NotGone", `the cgroup ${directory} could not be removed`, error);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
