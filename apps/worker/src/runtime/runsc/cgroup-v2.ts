// Version 2: one tree.
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { RuntimeError } from "../runtime.ts";
import type { CgroupFlavour } from "./cgroup-files.ts";
import { readCounter, readText, writeLimit } from "./cgroup-files.ts";
import { memoryBytes, pidsLimit } from "./spec.ts";

const NEEDED = ["cpu", "memory", "pids"] as const;
const CPU_PERIOD_US = 100_000;

export function cgroupV2(mountPoint: string): CgroupFlavour {
  const only = (directories: readonly string[]) => directories[0] ?? mountPoint;
  return {
    roots: [mountPoint],
    async prepareParent(parents) {
      await enableControllers(mountPoint);
      await enableControllers(only(parents));
    },
    async prepare() {},
    async limit(directories, limits, cpu) {
      const directory = only(directories);
      await writeLimit(`${directory}/memory.max`, String(memoryBytes(limits)));
      const swap = `${directory}/memory.swap.max`;
      if (existsSync(swap)) await writeLimit(swap, "0");
      await writeLimit(`${directory}/pids.max`, String(pidsLimit(limits)));
      if (!cpu) return;
      await writeLimit(`${directory}/cpu.max`, `${(limits.cpuMillis * CPU_PERIOD_US) / 1000} ${CPU_PERIOD_US}`);
    },
    async counters(directories) {
      return {
        oomKills: await readCounter(`${only(directories)}/memory.events`, "oom_kill"),
        pidsRefusals: await readCounter(`${only(directories)}/pids.events`, "max"),
      };
    },
    freezer(directories) {
      const control = `${only(directories)}/cgroup.freeze`;
      return {
        control,
        freeze: "1",
        thaw: "0",
        isAsked: async () => (await readText(control)).trim() === "1",
        isFrozen: async () => (await readCounter(`${only(directories)}/cgroup.events`, "frozen")) === 1,
      };
    },
    async letDie() {}, // a kill reaches who is frozen
  };
}

/** Children have limits only of controllers that their parent hands down. */
async function enableControllers(directory: string): Promise<void> {
  const path = `${directory}/cgroup.subtree_control`;
  const enabled = (await readText(path)).trim().split(" ");
  const missing = NEEDED.filter((name) => !enabled.includes(name));
  if (missing.length === 0) return;
  try {
    await writeFile(path, missing.map((name) => `+${name}`).join(" "), { flag: "r+" });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `${directory} does not hand down ${missing.join(", ")}`, error);
  }
}
