// Need: an operating system that can carry Sallyport at all. Nothing here can be installed.
import { access, readFile } from "node:fs/promises";
import { isNoSuchFile } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";

export interface PlatformFacts {
  readonly os: string;
  readonly arch: string;
  /** Text of os-release, "" where there is none. */
  readonly osRelease: string;
  readonly hasApt: boolean;
  readonly isRoot: boolean;
}

const WHY = "gVisor, cgroups and nftables are Linux; set-up takes what it installs from Debian's signed archive";

/** Need: Linux on x64 or arm64, with Debian's packages, as root. */
export function platformNeed(readFacts: () => Promise<PlatformFacts> = platformFacts): Need {
  return { name: "platform", probe: async () => judgePlatform(await readFacts()) };
}

/** What this machine is. */
export async function platformFacts(): Promise<PlatformFacts> {
  return {
    os: process.platform,
    arch: process.arch,
    osRelease: await textOf("/etc/os-release"),
    hasApt: await exists("/usr/bin/apt-get"),
    isRoot: process.getuid?.() === 0,
  };
}

/** Pure. */
export function judgePlatform(facts: PlatformFacts): Finding {
  const name = osName(facts);
  const base = { need: "platform", why: WHY, found: `${name}, ${facts.arch}` } as const;
  if (facts.os !== "linux") {
    return {
      ...base,
      state: "broken",
      problem: `this is ${facts.os}: the platform runs on Linux only (its SDK runs anywhere)`,
      cure: { say: ["run this on a Debian 12 machine, as root"] },
    };
  }
  if (facts.arch !== "x64" && facts.arch !== "arm64") {
    return {
      ...base,
      state: "broken",
      problem: `gVisor and Node 24 are to be had for x64 and arm64, not for ${facts.arch}`,
      cure: { say: ["run this on an x64 or arm64 machine"] },
    };
  }
  if (!facts.hasApt) {
    return {
      ...base,
      state: "warning",
      problem: "there is no apt here: set-up can check what is there, but install nothing",
      cure: { say: ["install what is named below with this system's own tools"] },
    };
  }
  if (!facts.isRoot) {
    return {
      ...base,
      state: "warning",
      problem: "not root: set-up can check what is there, but install nothing, and the worker needs root",
      cure: { say: ["run the same command as root"] },
    };
  }
  return { ...base, state: "ok" };
}

/** The value of a key of os-release. Pure. */
export function osReleaseValue(text: string, key: string): string | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${key}=`));
  return line?.slice(key.length + 1).replace(/^"(.*)"$/, "$1");
}

function osName(facts: PlatformFacts): string {
  return osReleaseValue(facts.osRelease, "PRETTY_NAME") ?? facts.os;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isNoSuchFile(error)) return "";
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
