// The engine's cgroups: itself in one, the containers of builds below another, both bounded. Swept whole.
import { existsSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import { openCgroups } from "../../runtime/runsc/cgroup.ts";
import {
  ARCHIVES_MEMORY_MIB,
  ARCHIVES_PIDS,
  BUILDS_MEMORY_MIB,
  BUILDS_PIDS,
  ENGINE_MEMORY_MIB,
  ENGINE_PIDS,
} from "../limits.ts";

const MOUNT_POINT = "/sys/fs/cgroup";
const REMOVE_DEADLINE_MS = 3_000;

export interface EngineCgroups {
  /** `cgroup.procs` files that the engine joins. */
  readonly files: readonly string[];
  /** Those for readers of archives. */
  readonly archiveFiles: readonly string[];
  /** Below which the engine puts its containers. */
  readonly buildsParent: string;
}

/** Makes them anew. `prefix` is one path component, the platform's own. */
export async function makeEngineCgroups(prefix: string): Promise<EngineCgroups> {
  const cgroups = openCgroups({ prefix });
  const none = { cpuMillis: 1_000 };
  await cgroups.create("daemon", { ...none, memoryMiB: ENGINE_MEMORY_MIB, pids: ENGINE_PIDS });
  await cgroups.create("builds", { ...none, memoryMiB: BUILDS_MEMORY_MIB, pids: BUILDS_PIDS });
  await cgroups.create("archives", { ...none, memoryMiB: ARCHIVES_MEMORY_MIB, pids: ARCHIVES_PIDS });
  const trees = await treesOf(prefix);
  const filesOf = (name: string) =>
    trees.map((tree) => `${tree}/${name}/cgroup.procs`).filter((file) => existsSync(file));
  return {
    files: filesOf("daemon"),
    archiveFiles: filesOf("archives"),
    buildsParent: cgroups.pathOf("builds"),
  };
}

/** Removes them with all that is below. Their processes must have ended, or be ending. Idempotent. */
export async function removeEngineCgroups(prefix: string): Promise<void> {
  const deadline = performance.now() + REMOVE_DEADLINE_MS;
  for (const tree of await treesOf(prefix)) await removeTree(tree, deadline);
}

/** The directories of this prefix: one per controller in version 1. */
async function treesOf(prefix: string): Promise<string[]> {
  const candidates = [`${MOUNT_POINT}/${prefix}`];
  for (const name of await readdir(MOUNT_POINT)) candidates.push(`${MOUNT_POINT}/${name}/${prefix}`);
  return candidates.filter((path) => existsSync(`${path}/cgroup.procs`));
}

async function removeTree(directory: string, deadline: number): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(`${directory}/${entry.name}`, deadline);
  }
  for (;;) {
    try {
      await rmdir(directory);
      return;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
