// What a platform holds on to at one moment: memory and descriptors of its processes, and what it has of the machine.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestPlatform } from "@sallyport/testkit/platform";

/** Counts and sizes, by name. */
export interface Holdings {
  /** Resident memory of each child, in MiB. */
  readonly memoryMiB: Readonly<Record<string, number>>;
  /** Open descriptors of each child. */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly namespaces: number;
  readonly links: number;
  readonly mounts: number;
  readonly loopDevices: number;
  readonly cgroups: number;
  readonly processes: number;
  /** Lines of all rulesets, the router's included. */
  readonly rules: number;
  /** Kilobytes of the platform's home on disk, the database aside. */
  readonly diskKiB: number;
}

export async function holdingsOf(platform: TestPlatform): Promise<Holdings> {
  const { children, platformId } = await platform.status();
  const tag = platformId.slice(-8);
  const named = (names: readonly string[]) => names.filter((name) => name.includes(tag)).length;
  const lines = (text: string) => text.split("\n").length;
  const router = join("/run/netns", `sp-${tag}`);
  return {
    memoryMiB: Object.fromEntries(children.map(({ name, pid }) => [name, residentMiB(pid)])),
    descriptors: Object.fromEntries(children.map(({ name, pid }) => [name, readdirSync(`/proc/${pid}/fd`).length])),
    namespaces: named(readdirSync("/run/netns")),
    links: named(readdirSync("/sys/class/net")),
    mounts: lines(readFileSync("/proc/self/mountinfo", "utf8")),
    loopDevices: readdirSync("/sys/block").filter((name) => isUsedLoop(name)).length,
    cgroups: count("/sys/fs/cgroup", tag, 3),
    processes: readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length,
    rules:
      lines(execFileSync("nft", ["list", "ruleset"], { encoding: "utf8" })) +
      lines(execFileSync("nsenter", [`--net=${router}`, "nft", "list", "ruleset"], { encoding: "utf8" })),
    diskKiB: ["worker", "gateway", "api", "run"].reduce((sum, part) => sum + diskKiB(join(platform.home, part)), 0),
  };
}

function residentMiB(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1024);
}

function isUsedLoop(name: string): boolean {
  return name.startsWith("loop") && readdirSync(`/sys/block/${name}`).includes("loop");
}

function count(directory: string, tag: string, depth: number): number {
  let found = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(directory, entry.name);
    if (path.includes(tag)) found += 1;
    if (depth > 0) found += count(path, tag, depth - 1);
  }
  return found;
}

function diskKiB(directory: string): number {
  const [size = "0"] = execFileSync("du", ["-sk", directory], { encoding: "utf8" }).split("\t");
  return Number(size);
}
