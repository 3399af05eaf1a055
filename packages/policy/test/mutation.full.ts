// Every mistake of the table is made once, and the tests of the package must see it.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MUTANTS } from "./mutants.ts";

const VITEST = join(import.meta.dirname, "..", "node_modules", "vitest", "vitest.mjs");
const PACKAGE = join(import.meta.dirname, "..");
const RUN_TIMEOUT_MS = 120_000;

let reports = "";

beforeAll(async () => {
  reports = await mkdtemp(join(tmpdir(), "policy-mutants-"));
});

afterAll(async () => {
  await rm(reports, { recursive: true, force: true });
});

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
}

/** Runs the tests of the package with one mistake, or with none, until the first failure. */
async function testsWith(mutant: number | undefined): Promise<Report> {
  const file = join(reports, `${mutant ?? "none"}.json`);
  const args = [VITEST, "run", "--config", "vitest.mutants.config.ts", "--bail=1", `--outputFile.json=${file}`];
  const env = { ...process.env, POLICY_MUTANT: mutant === undefined ? "none" : String(mutant) };
  // Vitest says by its exit code that tests failed: the report tells how many, and whether any ran.
  await new Promise<void>((resolve) => {
    execFile(process.execPath, args, { cwd: PACKAGE, env, timeout: RUN_TIMEOUT_MS }, () => {
      resolve();
    });
  });
  return JSON.parse(await readFile(file, "utf8")) as Report;
}

describe("the tests", () => {
  it("pass with no mistake made", async () => {
    const { numFailedTests, numPassedTests } = await testsWith(undefined);
    expect(numFailedTests).toBe(0);
    expect(numPassedTests).toBeGreaterThan(300);
  });

  it.each(MUTANTS.map((mutant, index) => [mutant.file, mutant.mistake, mutant, index] as const))(
    "see in %s that %s",
    async (_file, _mistake, { file, from }, index) => {
      const source = await readFile(join(PACKAGE, "src", file), "utf8");
      expect(source.split(from)).toHaveLength(2);
      expect((await testsWith(index)).numFailedTests).toBeGreaterThan(0);
    },
  );
});
