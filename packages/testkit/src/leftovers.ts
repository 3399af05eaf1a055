// What a machine still holds of a platform that is down: everything that carries its home or its id.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Whose traces are looked for. */
export interface Owner {
  /** SALLYPORT_HOME: in the arguments or the environment of every process of the platform, and in its mounts. */
  readonly home: string;
  /** Its last eight characters name namespaces, interfaces, tables and cgroups. */
  readonly platformId: string;
}

/** Processes, namespaces, interfaces, rules, mounts and cgroups of the platform, in words. Nothing, after `down`. */
export function leftovers({ home, platformId }: Owner): readonly string[] {
  const tag = platformId.slice(-8);
  const named = [...namespaces(), ...links(), ...tables(), ...cgroups()].filter((word) => word.includes(tag));
  const mounted = mounts().filter((word) => word.includes(home) || word.includes(tag));
  return [...processes(home), ...named, ...mounted].sort();
}

function processes(home: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const env = readFileSync(`/proc/${pid}/environ`, "utf8");
      if (`${args}\0${env}`.includes(home)) found.push(`process ${pid} ${args.replaceAll("\0", " ").slice(0, 120)}`);
    } catch {
      // ended meanwhile
    }
  }
  return found;
}

function namespaces(): string[] {
  try {
    return readdirSync("/run/netns").map((name) => `netns ${name}`);
  } catch {
    return []; // no namespace was ever made
  }
}

function links(): string[] {
  return readdirSync("/sys/class/net").map((name) => `link ${name}`);
}

function tables(): string[] {
  return execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).split("\n");
}

function mounts(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => `mount ${line.split(" ")[4] ?? ""}`);
}

function cgroups(): string[] {
  const found: string[] = [];
  const walk = (directory: string, depth: number) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      found.push(`cgroup ${join(directory, entry.name)}`);
      if (depth > 0) walk(join(directory, entry.name), depth - 1);
    }
  };
  walk("/sys/fs/cgroup", 2);
  return found;
}
