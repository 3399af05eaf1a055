// Runs the tests: first what needs no root (through turbo, cached), then root tests and e2e one package at a time.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { namesIn } from "./files.js";
import { clone, node24 } from "./places.js";
import { show } from "./programs.js";
import { countsIn, removeReports, sum, summaryLines } from "./report.js";
import { setUp } from "./setup.js";
import { workspacePackages } from "./workspace.js";

/** @typedef {import("./workspace.js").WorkspacePackage} WorkspacePackage */

/** Package scripts of each lane that run alone, in this order. */
const LANES = {
  test: ["test:root", "e2e"],
  "test:full": ["test:full"],
  "test:soak": ["test:soak"],
};
const TURBO_RUNS = join(clone, ".turbo", "runs");

/**
 * @param {keyof typeof LANES} lane
 * @returns {Promise<number>} The exit code.
 */
export async function runTests(lane) {
  const packages = await workspacePackages(clone);
  for (const { folder } of packages) await removeReports(folder);
  /** @type {string[]} */
  const failedChecks = [];
  try {
    const env = await setUp({ purpose: lane === "test:full" ? "full-tests" : "tests" });
    if (lane === "test") failedChecks.push(...(await turboStage(packages, env)));
    // turbo's cache may have brought reports of root tests of an earlier run along.
    for (const { folder } of packages) await removeReports(folder, (name) => !name.startsWith("unit"));
    for (const script of LANES[lane]) failedChecks.push(...(await scriptStage(packages, script, env)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    failedChecks.push("set-up");
  }
  const counts = sum(await Promise.all(packages.map(({ folder }) => countsIn(folder))));
  console.log("");
  for (const line of summaryLines(counts, failedChecks)) console.log(line);
  return counts.failed + failedChecks.length === 0 ? 0 : 1;
}

/**
 * typecheck, lint and unit tests of every package, and the root's own lint.
 * @param {readonly WorkspacePackage[]} packages
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[]>} What failed and is no test.
 */
async function turboStage(packages, env) {
  heading("typecheck, lint, unit tests");
  await rm(TURBO_RUNS, { recursive: true, force: true });
  const turbo = join(clone, "node_modules", "turbo", "bin", "turbo");
  const args = ["run", "typecheck", "lint", "test", "//#lint:root", "--continue=always", "--concurrency=3"];
  const exitCode = await show(node24, [turbo, ...args, "--output-logs=new-only", "--summarize"], { cwd: clone, env });
  if (exitCode === 0) return [];
  /** @type {string[]} */
  const failed = [];
  for (const task of await failedTasks()) {
    const folder = packages.find(({ name }) => task === `${name}#test`)?.folder;
    // A test task is counted by its tests, unless none of them tells why it failed.
    if (folder === undefined || (await countsIn(folder)).failed === 0) failed.push(task);
  }
  const testsFailed = sum(await Promise.all(packages.map(({ folder }) => countsIn(folder)))).failed > 0;
  return failed.length === 0 && !testsFailed ? ["turbo"] : failed;
}

/** @returns {Promise<string[]>} Ids of the tasks that turbo saw fail. */
async function failedTasks() {
  /** @type {string[]} */
  const failed = [];
  for (const name of await namesIn(TURBO_RUNS)) {
    /** @type {{ tasks?: { taskId: string, execution?: { exitCode?: number | null } }[] }} */
    const summary = JSON.parse(await readFile(join(TURBO_RUNS, name), "utf8"));
    for (const task of summary.tasks ?? []) if ((task.execution?.exitCode ?? 0) !== 0) failed.push(task.taskId);
  }
  return failed;
}

/**
 * One script of every package that has it, one at a time: these tests change the machine's network and processes.
 * @param {readonly WorkspacePackage[]} packages
 * @param {string} script
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[]>} What failed and is no test.
 */
async function scriptStage(packages, script, env) {
  /** @type {string[]} */
  const failed = [];
  for (const { name, folder, scripts } of packages) {
    if (scripts[script] === undefined) continue;
    heading(`${name} ${script}`);
    const before = (await countsIn(folder)).failed;
    const exitCode = await show("pnpm", ["run", script], { cwd: folder, env });
    if (exitCode !== 0 && (await countsIn(folder)).failed === before) failed.push(`${name}#${script}`);
  }
  return failed;
}

/** @param {string} text */
function heading(text) {
  console.log(`\n── ${text} ──`);
}
