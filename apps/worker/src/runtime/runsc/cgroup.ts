// The cgroups of sandboxes. They are made, limited and removed here rather than by runsc: runsc takes one that exists
// as it is, without limits, and leaves those of a killed or failed create behind.
import { existsSync } from "node:fs";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import type { LimitCounters, SandboxLimits } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import { readText } from "./cgroup-files.ts";
import { cgroupV1 } from "./cgroup-v1.ts";
import { cgroupV2 } from "./cgroup-v2.ts";
import { killPid } from "./processes.ts";

export interface Cgroups {
  /** For the OCI configuration. */
  pathOf(instanceId: string): string;
  /** Makes them with limits on memory and tasks. */
  create(instanceId: string, limits: SandboxLimits): Promise<void>;
  /** Sets all limits. */
  setLimits(instanceId: string, limits: SandboxLimits): Promise<void>;
  counters(instanceId: string): Promise<LimitCounters>;
  /** Kills what is inside, frozen or not; the answer is how many processes were met. */
  kill(instanceId: string): Promise<number>;
  /** Removes the directories; throws RuntimeError "NotGone" when a process is left in one. */
  remove(instanceId: string): Promise<void>;
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

export function openCgroups(options: CgroupOptions): Cgroups {
  const mountPoint = options.mountPoint ?? "/sys/fs/cgroup";
  const flavour = existsSync(`${mountPoint}/cgroup.controllers`) ? cgroupV2(mountPoint) : cgroupV1(mountPoint);
  const parents = flavour.roots.map((root) => `${root}/${options.prefix}`);
  const directoriesOf = (instanceId: string) => parents.map((parent) => `${parent}/${instanceId}`);
  return {
    pathOf: (instanceId) => `/${options.prefix}/${instanceId}`,
    async create(instanceId, limits) {
      const directories = directoriesOf(instanceId);
      await Promise.all(parents.map((parent) => mkdir(parent, { recursive: true, mode: 0o755 })));
      await flavour.prepareParent(parents);
      await Promise.all(directories.map((directory) => mkdir(directory, { recursive: true, mode: 0o755 })));
      await flavour.prepare(directories);
      await flavour.limit(directories, limits, false);
    },
    setLimits: (instanceId, limits) => flavour.limit(directoriesOf(instanceId), limits, true),
    counters: (instanceId) => flavour.counters(directoriesOf(instanceId)),
    async kill(instanceId) {
      const directories = directoriesOf(instanceId);
      const pids = new Set((await Promise.all(directories.map(pidsIn))).flat());
      for (const pid of pids) killPid(pid);
      if (pids.size > 0) await flavour.thaw(directories);
      return pids.size;
    },
    async remove(instanceId) {
      await Promise.all(directoriesOf(instanceId).map(removeDirectory));
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
