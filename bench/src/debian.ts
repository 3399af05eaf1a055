// Programs of peers and load generators, from Debian's own packages.
import { existsSync } from "node:fs";
import { run } from "./command.ts";

/**
 * Whether a program is here; installs Debian's package where root may (its service is not started). Says what it does,
 * and why it cannot.
 *
 * @param what for people: what the program is needed for.
 */
export async function haveProgram(
  path: string,
  packageName: string,
  what: string,
  say: (line: string) => void,
): Promise<boolean> {
  if (existsSync(path)) return true;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    say(`no ${path} here: ${what} is left out`);
    return false;
  }
  say(`installing Debian's ${packageName} for ${what} (its service is not started)`);
  try {
    // Its start is masked by the run level; policy-rc.d is not touched.
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    await run("apt-get", ["install", "--yes", "--no-install-recommends", packageName], env);
    return true;
  } catch (error) {
    say(`no ${packageName} to be had (${String(error)}): ${what} is left out`);
    return false;
  }
}
