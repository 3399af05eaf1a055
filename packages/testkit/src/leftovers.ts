// What a machine holds that a platform or its sandboxes could have left behind: taken before, compared after.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Everything of ours on the machine, as sorted words: processes, namespaces, interfaces, rules, mounts, cgroups. */
export function machineState(): readonly string[] {
  return [...processes(), ...namespaces(), ...links(), ...tables(), ...mounts(), ...cgroups()].sort();
}

/** What is there now and was not there before. */
export function leftovers(before: readonly string[], now: readonly string[] = machineState()): readonly string[] {
  const known = new Set(before);
  return now.filter((word) => !known.has(word));
}

function processes(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (/runsc|conmon|sallyport|postgres/.test(program) || args.some((arg) => /runsc|\/opt\/sallyport/.test(arg))) {
        found.push(`process ${pid} ${args.slice(0, 4).join(" ")}`);
      }
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
  const text = execFileSync("nft", ["list", "tables"], { encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
}

function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines
    .map((line) => line.split(" ")[4])
    .filter((point) => point !== undefined && /sallyport|sp-|netns/.test(point)) as string[];
}

function cgroups(): string[] {
  const found: string[] = [];
  const walk = (directory: string, depth: number) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      if (entry.name.startsWith("sallyport")) found.push(`cgroup ${join(directory, entry.name)}`);
      if (depth > 0) walk(join(directory, entry.name), depth - 1);
    }
  };
  walk("/sys/fs/cgroup", 2);
  return found;
}
