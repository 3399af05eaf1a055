// `npm run demo` as a newcomer types it: every step goes well, and nothing of the platform is left on the machine.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { leftovers } from "@sallyport/testkit/leftovers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "sp-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe("npm run demo", () => {
  it("shows every step with its result and leaves nothing", async () => {
    // A home that is there already is kept: it tells whose traces to look for.
    const env = { ...process.env, SALLYPORT_HOME: home };
    const { stdout } = await promisify(execFile)("npm", ["run", "demo"], { cwd: ROOT, env, maxBuffer: 16 << 20 });
    expect(stdout).toContain("All steps went well.");
    expect(stdout).not.toContain("✗");
    expect(stdout.match(/✓ .*\(\d+\.\d s\)/g)?.length).toBe(14);
    const { platformId } = JSON.parse(await readFile(join(home, "platform.json"), "utf8")) as { platformId: string };
    expect(leftovers({ home, platformId })).toEqual([]);
  });
});
