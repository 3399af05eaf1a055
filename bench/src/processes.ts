// What processes cost, from /proc: CPU time, and memory as their share of it (PSS), so that pages which many map are
// counted once.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Where a process shows which container or platform it is of. */
export interface ProcessFacts {
  readonly pid: number;
  readonly cgroup: string;
  readonly cmdline: string;
}

const TICK_MS = 1_000 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Every process of the machine. */
export function allProcesses(): ProcessFacts[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const cmdline = read(`/proc/${pid}/cmdline`);
    const cgroup = read(`/proc/${pid}/cgroup`);
    return cmdline === undefined || cgroup === undefined ? [] : [{ pid: Number(pid), cgroup, cmdline }];
  });
}

/** Whether a word (a path, an id) stands in the environment that a process was started with. */
export function isInEnvironment({ pid }: ProcessFacts, word: string): boolean {
  return read(`/proc/${pid}/environ`)?.includes(word) ?? false;
}

/** Memory in MiB; 0 for what has ended. */
export function memoryMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    const [, share = "0"] = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? "") ?? [];
    kib += Number(share);
  }
  return kib / 1024;
}

/** CPU time so far of a process, in milliseconds. */
function cpuMs(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name may hold anything; the numbers follow its closing bracket. Fields 14 and 15 are user and system time.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** CPU time so far of processes together, in milliseconds; what has ended counts as nothing. */
export function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (cpuMs(pid) ?? 0), 0);
}

/** Watches groups of processes for a while: the share of one core that each took. Those that end meanwhile count as nothing. */
export async function coresOver(forMs: number, groups: readonly (readonly number[])[]): Promise<number[]> {
  const reading = () => groups.map((pids) => pids.map(cpuMs));
  const startedAt = performance.now();
  const before = reading();
  await new Promise((resolve) => setTimeout(resolve, forMs));
  const after = reading();
  const passedMs = performance.now() - startedAt;
  return groups.map((pids, group) => {
    let spentMs = 0;
    for (const index of pids.keys()) {
      const from = before[group]?.[index];
      const to = after[group]?.[index];
      if (from !== undefined && to !== undefined) spentMs += to - from;
    }
    return spentMs / passedMs;
  });
}

/** CPU time so far of the whole machine, in milliseconds: what a piece of work costs when nothing else runs. */
export function machineCpuMs(): number {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * TICK_MS;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // ended meanwhile
  }
}
