// What must be so before anything can be fetched.

import { BootstrapError } from "./errors.js";
import { quiet } from "./programs.js";

const OLDEST_NODE = 20;

/**
 * Throws a BootstrapError that names everything that is wrong.
 * @param {{ platform: string, arch: string, nodeVersion: string, npmVersion: () => Promise<string | undefined> }} [machine]
 */
export async function checkMachine(machine = thisMachine()) {
  const problems = [];
  if (machine.platform !== "linux") {
    problems.push(`this is ${machine.platform}: Sallyport's platform runs on Linux. Use a Debian 12 machine, as root.`);
  }
  if (machine.arch !== "x64" && machine.arch !== "arm64") {
    problems.push(`this is ${machine.arch}: gVisor and Node 24 are to be had for x64 and arm64.`);
  }
  if (Number(machine.nodeVersion.split(".")[0]) < OLDEST_NODE) {
    problems.push(
      `this is Node ${machine.nodeVersion}: Node ${OLDEST_NODE} or newer is needed to begin (Node 24 is then fetched).`,
    );
  }
  if ((await machine.npmVersion()) === undefined) {
    problems.push("npm is not in PATH: it is needed to fetch pnpm. On Debian, type: apt-get install npm");
  }
  if (problems.length > 0)
    throw new BootstrapError(`Sallyport cannot be set up here:\n${problems.map((one) => `  - ${one}`).join("\n")}`);
}

function thisMachine() {
  return { platform: process.platform, arch: process.arch, nodeVersion: process.versions.node, npmVersion };
}

/** @returns {Promise<string | undefined>} */
async function npmVersion() {
  // `npm run` has started us from an npm, and says which: starting another one costs half a second.
  if (process.env["npm_execpath"] !== undefined) return "running";
  try {
    const { exitCode, stdout } = await quiet("npm", ["--version"]);
    return exitCode === 0 ? stdout.trim() : undefined;
  } catch {
    // There is no such program.
    return undefined;
  }
}
