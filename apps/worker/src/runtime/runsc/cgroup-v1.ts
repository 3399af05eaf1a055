// Version 1: a tree per controller.
import { existsSync, realpathSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { SandboxLimits } from "../runtime.ts";
import type { CgroupFlavour } from "./cgroup-files.ts";
import { readCounter, readText, writeLimit } from "./cgroup-files.ts";
import { memoryBytes, pidsLimit } from "./spec.ts";

/** Every controller that runsc joins where it is mounted. */
const CONTROLLERS = [
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
  "systemd",
] as const;
/** Without these nothing is limited. */
const NEEDED = ["cpu", "memory", "pids"] as const;
const CPU_PERIOD_US = 100_000;

export function cgroupV1(mountPoint: string): CgroupFlavour {
  const mounted = CONTROLLERS.filter((name) => existsSync(`${mountPoint}/${name}/cgroup.procs`));
  const missing = NEEDED.filter((name) => !mounted.includes(name));
  if (missing.length > 0) throw new Error(`no cgroup controller ${missing.join(", ")} under ${mountPoint}`);
  // cpu and cpuacct, net_cls and net_prio are often one tree under two names.
  const trees = new Map(mounted.map((name) => [realpathSync(`${mountPoint}/${name}`), name]));
  const find = (directories: readonly string[], controller: (typeof CONTROLLERS)[number]) => {
    const tree = `${realpathSync(`${mountPoint}/${controller}`)}/`;
    return directories.find((directory) => directory.startsWith(tree));
  };
  const need = (directories: readonly string[], controller: (typeof NEEDED)[number]) => {
    const directory = find(directories, controller);
    if (directory === undefined) throw new Error(`no cgroup of the controller ${controller}`);
    return directory;
  };
  return {
    roots: [...trees.keys()],
    prepareParent: (parents) => fillCpuset(find(parents, "cpuset")),
    prepare: (directories) => fillCpuset(find(directories, "cpuset")),
    async limit(directories, limits, cpu) {
      await limitMemory(need(directories, "memory"), limits);
      await writeLimit(`${need(directories, "pids")}/pids.max`, String(pidsLimit(limits)));
      if (!cpu) return;
      const directory = need(directories, "cpu");
      await writeLimit(`${directory}/cpu.cfs_period_us`, String(CPU_PERIOD_US));
      await writeLimit(`${directory}/cpu.cfs_quota_us`, String((limits.cpuMillis * CPU_PERIOD_US) / 1000));
    },
    async counters(directories) {
      return {
        oomKills: await readCounter(`${need(directories, "memory")}/memory.oom_control`, "oom_kill"),
        pidsRefusals: await readCounter(`${need(directories, "pids")}/pids.events`, "max"),
      };
    },
    freezer(directories) {
      if (!mounted.includes("freezer")) return undefined;
      const control = `${find(directories, "freezer")}/freezer.state`;
      const state = async () => (await readText(control)).trim();
      return {
        control,
        freeze: "FROZEN",
        thaw: "THAWED",
        isAsked: async () => ["FREEZING", "FROZEN"].includes(await state()),
        isFrozen: async () => (await state()) === "FROZEN",
      };
    },
    // A kill waits for the thaw here, and a directory's own thaw does nothing while the one around it is frozen. Outside of
    // it they are thawed, and the first that they meet on their way back to their code is the kill.
    async letDie(pids) {
      if (!mounted.includes("freezer")) return;
      for (const pid of pids) await moveTo(`${mountPoint}/freezer/cgroup.procs`, pid);
    },
  };
}

async function moveTo(procs: string, pid: number): Promise<void> {
  try {
    await writeFile(procs, String(pid), { flag: "r+" });
  } catch {
    // it has ended
  }
}

/** No process may join a cpuset without processors and memory nodes, and a fresh one has none. */
async function fillCpuset(directory: string | undefined): Promise<void> {
  if (directory === undefined) return;
  const parent = directory.slice(0, directory.lastIndexOf("/"));
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    if ((await readText(`${directory}/${file}`)).trim() !== "") continue;
    await writeLimit(`${directory}/${file}`, (await readText(`${parent}/${file}`)).trim());
  }
}

/** Swap counts as memory where the kernel can tell; the one limit may never exceed the other, even for a moment. */
async function limitMemory(directory: string, limits: SandboxLimits): Promise<void> {
  const memory = `${directory}/memory.limit_in_bytes`;
  const withSwap = `${directory}/memory.memsw.limit_in_bytes`;
  const bytes = memoryBytes(limits);
  const swapCounts = existsSync(withSwap);
  const grows = swapCounts && bytes > Number((await readText(withSwap)).trim());
  const order = swapCounts ? (grows ? [withSwap, memory] : [memory, withSwap]) : [memory];
  for (const path of order) await writeLimit(path, String(bytes));
}
