// Adds up what vitest wrote (reports/*.json of each package) to the last line of a test run.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { namesIn } from "./files.js";

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/** @type {Counts} */
export const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/**
 * @param {readonly Counts[]} all
 * @returns {Counts}
 */
export function sum(all) {
  return all.reduce(
    (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }),
    NOTHING,
  );
}

/**
 * Counts of one vitest JSON report. A file that could not be loaded has failed, though no test of it did.
 * @param {string} text
 * @returns {Counts}
 */
export function countsOf(text) {
  /** @type {{ numPassedTests?: number, numFailedTests?: number, numPendingTests?: number, numTodoTests?: number, success?: boolean, testResults?: { status?: string, assertionResults?: { status?: string }[] }[] }} */
  const report = JSON.parse(text);
  const brokenFiles = (report.testResults ?? []).filter(
    (file) => file.status === "failed" && !(file.assertionResults ?? []).some((test) => test.status === "failed"),
  ).length;
  const failed = (report.numFailedTests ?? 0) + brokenFiles;
  return {
    passed: report.numPassedTests ?? 0,
    // Unhandled errors fail a run in which every test passed.
    failed: failed === 0 && report.success === false ? 1 : failed,
    skipped: (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0),
  };
}

/**
 * Counts of every report of a package.
 * @param {string} folder
 * @returns {Promise<Counts>}
 */
export async function countsIn(folder) {
  const files = await reportFiles(folder);
  return sum(await Promise.all(files.map(async (file) => readCounts(file))));
}

/**
 * Removes the reports of a package, so that none of an earlier run is counted.
 * @param {string} folder
 * @param {(name: string) => boolean} [which]
 */
export async function removeReports(folder, which = () => true) {
  for (const file of await reportFiles(folder)) {
    if (which(file.slice(file.lastIndexOf("/") + 1))) await rm(file, { force: true });
  }
}

/**
 * The last lines of a test run; the very last is plain, for programs to read.
 * @param {Counts} counts
 * @param {readonly string[]} failedChecks What failed and is no test: "@sallyport/api#lint".
 * @returns {string[]}
 */
export function summaryLines(counts, failedChecks) {
  const lines = failedChecks.map((check) => `failed: ${check}`);
  if (counts.skipped > 0) lines.push(`${counts.skipped} skipped`);
  lines.push(`${counts.passed} passed, ${counts.failed + failedChecks.length} failed`);
  return lines;
}

/** @param {string} file */
async function readCounts(file) {
  try {
    return countsOf(await readFile(file, "utf8"));
  } catch {
    // A report that is cut off is a run that was killed.
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/**
 * @param {string} folder
 * @returns {Promise<string[]>}
 */
async function reportFiles(folder) {
  const directory = join(folder, "reports");
  const names = await namesIn(directory);
  return names.filter((name) => name.endsWith(".json")).map((name) => join(directory, name));
}
