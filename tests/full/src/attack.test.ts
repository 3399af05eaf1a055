// `sallyport doctor --attack` against a platform as it comes: every wall holds.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { leftovers } from "@sallyport/testkit/leftovers";
import { startPlatform } from "@sallyport/testkit/platform";
import { startTargetNetwork } from "@sallyport/testkit/target-network";
import { describe, expect, it } from "vitest";

const MIN_PROBES = 45;

interface Scorecard {
  readonly ok: boolean;
  readonly scores: readonly { readonly name: string; readonly held: boolean; readonly seen: string }[];
}

describe("sallyport doctor --attack", () => {
  it("finds that everything holds, and leaves nothing", async () => {
    // Public addresses lead into it: nothing of the attack leaves the machine.
    await using _world = await startTargetNetwork();
    const platform = await startPlatform();
    const owner = { home: platform.home, platformId: (await platform.status()).platformId };
    try {
      const { token } = await platform.createWorkspace("attack");
      const env = { ...process.env, SALLYPORT_API_URL: platform.apiUrl, SALLYPORT_TOKEN: token };
      const sallyport = join(platform.release, "bin/sallyport");
      const { stdout } = await promisify(execFile)(sallyport, ["doctor", "--attack", "--json"], { env });
      const { ok, scores } = JSON.parse(stdout) as Scorecard;
      expect(scores.filter(({ held }) => !held)).toEqual([]);
      expect(ok).toBe(true);
      expect(scores.length).toBeGreaterThanOrEqual(MIN_PROBES);
    } finally {
      await platform[Symbol.asyncDispose]();
    }
    expect(leftovers(owner)).toEqual([]);
  });
});
