// A second run of the checks does nothing twice: turbo's inputs and outputs are right.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const TASKS = ["generate", "typecheck", "lint", "build"];

async function checks(): Promise<{ cached: number; total: number }> {
  const turbo = join(ROOT, "node_modules/.bin/turbo");
  const args = ["run", ...TASKS, "--output-logs=errors-only"];
  const { stdout } = await promisify(execFile)(turbo, args, { cwd: ROOT, maxBuffer: 16 << 20 });
  const [, cached, total] = /Cached:\s+(\d+) cached, (\d+) total/.exec(stdout) ?? [];
  if (cached === undefined || total === undefined) throw new Error(`turbo said nothing of its cache:\n${stdout}`);
  return { cached: Number(cached), total: Number(total) };
}

describe("turbo", () => {
  it("has everything in its cache the second time", async () => {
    await checks();
    const { cached, total } = await checks();
    expect(total).toBeGreaterThan(30);
    expect(cached).toBe(total);
  });
});
