// What each root script does, once the machine is set up.
import { join } from "node:path";
import { checkMachine } from "./checks.js";
import { isThere } from "./files.js";
import { ensureInstalled } from "./install.js";
import { childEnvironment, clone, isRoot, node24 } from "./places.js";
import { ensurePnpm } from "./pnpm.js";
import { show } from "./programs.js";
import { setUp } from "./setup.js";
import { runTests } from "./tests.js";

const FROM_SOURCES = ["--conditions=@sallyport/source", "--disable-warning=ExperimentalWarning"];
const INSTALLED = "/opt/sallyport/current/bin/sallyport";

/**
 * Each takes the arguments of the command line, and resolves to the exit code.
 * @type {ReadonlyMap<string, (args: readonly string[]) => Promise<number>>}
 */
export const commands = new Map([
  ["demo", (args) => fromSources(join("examples", "src", "demo.ts"), args)],
  ["test", () => runTests("test")],
  ["test:full", () => runTests("test:full")],
  ["test:soak", () => runTests("test:soak")],
  // With --json, stdout is the bench's alone: set-up talks on stderr.
  ["bench", (args) => fromSources(join("bench", "src", "main.ts"), args)],
  ["setup", setup],
  ["sallyport", sallyport],
]);

async function setup() {
  const startedAt = Date.now();
  await setUp();
  console.error(`Sallyport is set up (${((Date.now() - startedAt) / 1000).toFixed(1)} s). Next: npm run demo`);
  return 0;
}

/**
 * @param {string} program Relative to the clone.
 * @param {readonly string[]} args
 */
async function fromSources(program, args) {
  const env = await setUp();
  return show(node24, [...FROM_SOURCES, join(clone, program), ...args], { cwd: clone, env });
}

/** @param {readonly string[]} args */
async function sallyport(args) {
  if (args[0] === "doctor") {
    // The one command that must work where set-up cannot.
    await checkMachine();
    const pnpmFolder = await ensurePnpm();
    await ensureInstalled(pnpmFolder);
    const main = join(clone, "packages", "cli", "src", "main.ts");
    return show(node24, [...FROM_SOURCES, main, ...args], { env: childEnvironment(pnpmFolder) });
  }
  // Anybody may call a platform that root has set up.
  if (isRoot || !(await isThere(INSTALLED))) await setUp();
  return show(INSTALLED, args);
}
