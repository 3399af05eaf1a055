// Where the machine's processor time goes: the platform's processes, soft interrupts, everything.
import { readdirSync, readFileSync } from "node:fs";
import type { TestPlatform } from "@sallyport/testkit/platform";

/** The kernel tells times in ticks of 10 ms. */
const TICKS_PER_S = 100;

/** Seconds of processor time since something began, all processors together. */
export interface ProcessorTime {
  /** Of each child of the platform, with the processes that it started. */
  readonly platform: Readonly<Record<string, number>>;
  readonly softInterrupts: number;
  readonly busy: number;
}

export async function processorTime(platform: TestPlatform): Promise<ProcessorTime> {
  const { children } = await platform.status();
  const processes = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (processOf(name) ?? []) : []));
  const withChildren = (pid: number): number =>
    processes
      .filter((one) => one.pid === pid || one.parent === pid)
      .reduce((sum, one) => sum + (one.pid === pid ? one.seconds : withChildren(one.pid)), 0);
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user = 0, nice = 0, system = 0, , , hardInterrupts = 0, softInterrupts = 0] = line
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) / TICKS_PER_S);
  return {
    platform: Object.fromEntries(children.map(({ name, pid }) => [name, withChildren(pid)])),
    softInterrupts,
    busy: user + nice + system + hardInterrupts + softInterrupts,
  };
}

interface OneProcess {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
}

/** Nothing where the process has ended meanwhile. */
function processOf(pid: string): OneProcess | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name, in brackets, may hold anything; the fields after it are from the third on.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number);
  return { pid: Number(pid), parent: parent ?? 0, seconds: ((user ?? 0) + (system ?? 0)) / TICKS_PER_S };
}

/** Processors' worth between two moments that lie so many seconds apart. */
export function coresBetween(before: ProcessorTime, after: ProcessorTime, seconds: number): ProcessorTime {
  const cores = (from: number, to: number) => Math.round(((to - from) / seconds) * 1_000) / 1_000;
  return {
    platform: Object.fromEntries(
      Object.entries(after.platform).map(([name, time]) => [name, cores(before.platform[name] ?? 0, time)]),
    ),
    softInterrupts: cores(before.softInterrupts, after.softInterrupts),
    busy: cores(before.busy, after.busy),
  };
}
