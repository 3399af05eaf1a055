// What the installed runsc is, and whether it must not see /proc/sys/net when it starts a sandbox.
import { readFile } from "node:fs/promises";
import { run } from "../../system/command.ts";
import { RuntimeError } from "../runtime.ts";

export interface RunscFacts {
  /** e.g. "20240729.0". */
  readonly version: string;
  /**
   * Whether `start` needs /proc/sys/net hidden: runsc before August 2024 takes any namespace in which it sees
   * net/core/rmem_default for the machine's own, and Linux 6.8 and later show it in every one (google/gvisor#10704).
   */
  readonly hideProcSysNet: boolean;
}

/** The first month whose releases are mended. */
const MENDED_IN = 202_408;

/** Asks runsc. Throws RuntimeError when it cannot be run. */
export async function probeRunsc(runsc: string): Promise<RunscFacts> {
  try {
    const [{ stdout }, kernel] = await Promise.all([
      run([runsc, "--version"], { timeoutMs: 10_000 }),
      readFile("/proc/sys/kernel/osrelease", "utf8"),
    ]);
    return runscFacts(stdout, kernel);
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `${runsc} cannot be run`, error);
  }
}

/** From the two texts. A version that cannot be read is taken for a new one: an old one says so at start, harmlessly. */
export function runscFacts(versionText: string, kernelRelease: string): RunscFacts {
  const version = /(20[0-9]{6}(?:\.[0-9]+)?)/.exec(versionText)?.[1];
  const month = version === undefined ? MENDED_IN : Number(version.slice(0, 6));
  const [major = 0, minor = 0] = kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  const showsRmem = major > 6 || (major === 6 && minor >= 8);
  return { version: version ?? "unknown", hideProcSysNet: month < MENDED_IN && showsRmem };
}
