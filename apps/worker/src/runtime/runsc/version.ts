// What the installed runsc is, and whether it must not see /proc/sys/net when it starts a sandbox.
import { mustHideNetSysctls, parseRunscVersion } from "@sallyport/host";
import { CommandError, run } from "../../system/command.ts";
import { RuntimeError } from "../runtime.ts";

export interface RunscFacts {
  /** As runsc says it, e.g. "release-20260713.0". */
  readonly version: string;
  readonly hideProcSysNet: boolean;
}

/** Asks runsc and the kernel. Throws RuntimeError when runsc cannot be run. */
export async function probeRunsc(runsc: string): Promise<RunscFacts> {
  const [{ stdout }, isVisible] = await Promise.all([askVersion(runsc), rmemDefaultIsVisible()]);
  return runscFacts(runsc, stdout, isVisible);
}

/** From the answers. A version that cannot be read is taken for a new one: an old one says so at start, harmlessly. */
export function runscFacts(path: string, versionText: string, rmemIsVisible: boolean): RunscFacts {
  const said = parseRunscVersion(versionText);
  if (said === undefined) return { version: "unknown", hideProcSysNet: false };
  return { version: said.version, hideProcSysNet: mustHideNetSysctls({ path, ...said }, rmemIsVisible) };
}

async function askVersion(runsc: string): Promise<{ readonly stdout: string }> {
  try {
    return await run([runsc, "--version"], { timeoutMs: 10_000 });
  } catch (error) {
    throw new RuntimeError("RuntimeFailed", `${runsc} cannot be run`, error);
  }
}

/** Whether a fresh network namespace shows the sysctl by which an old runsc knows the machine's own. */
async function rmemDefaultIsVisible(): Promise<boolean> {
  try {
    await run(["unshare", "--net", "test", "-e", "/proc/sys/net/core/rmem_default"]);
    return true;
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === 1) return false;
    throw error;
  }
}
