// What the last line of a test run says, whatever vitest wrote.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { countsIn, countsOf, NOTHING, removeReports, sum, summaryLines } from "../../../bootstrap/report.js";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function packageWith(reports: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "report-"));
  folders.push(folder);
  await mkdir(join(folder, "reports"));
  for (const [name, text] of Object.entries(reports)) await writeFile(join(folder, "reports", name), text);
  return folder;
}

describe("countsOf", () => {
  it("takes vitest's own counts", () => {
    const report = { numPassedTests: 7, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1, success: false };
    expect(countsOf(JSON.stringify(report))).toEqual({ passed: 7, failed: 2, skipped: 2 });
  });

  it("counts a file that could not be loaded", () => {
    const testResults = [
      { status: "failed", assertionResults: [] },
      { status: "failed", assertionResults: [{ status: "failed" }] },
      { status: "passed", assertionResults: [{ status: "passed" }] },
    ];
    const report = { numPassedTests: 1, numFailedTests: 1, success: false, testResults };
    expect(countsOf(JSON.stringify(report))).toEqual({ passed: 1, failed: 2, skipped: 0 });
  });

  it("counts a run that failed though every test passed", () => {
    expect(countsOf(JSON.stringify({ numPassedTests: 3, numFailedTests: 0, success: false })).failed).toBe(1);
  });
});

describe("reports of a package", () => {
  it("adds up, and counts one that is cut off as failed", async () => {
    const folder = await packageWith({
      "unit.json": JSON.stringify({ numPassedTests: 3, numFailedTests: 0, success: true }),
      "root.json": '{"numPassed',
      "notes.txt": "not a report",
    });
    expect(await countsIn(folder)).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  it("are nothing where there are none", async () => {
    expect(await countsIn(join(tmpdir(), "no-such-package"))).toEqual(NOTHING);
  });

  it("are removed by name", async () => {
    const folder = await packageWith({ "unit.json": "{}", "root.json": "{}" });
    await removeReports(folder, (name) => !name.startsWith("unit"));
    expect(await readdir(join(folder, "reports"))).toEqual(["unit.json"]);
  });
});

describe("summaryLines", () => {
  it("ends with a plain line", () => {
    expect(summaryLines({ passed: 10, failed: 0, skipped: 0 }, [])).toEqual(["10 passed, 0 failed"]);
  });

  it("counts failed checks as failed, and names them", () => {
    const counts = sum([
      { passed: 1, failed: 1, skipped: 0 },
      { passed: 2, failed: 0, skipped: 3 },
    ]);
    expect(summaryLines(counts, ["@sallyport/api#lint"])).toEqual([
      "failed: @sallyport/api#lint",
      "3 skipped",
      "3 passed, 2 failed",
    ]);
  });
});
