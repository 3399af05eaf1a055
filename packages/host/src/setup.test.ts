// The order of set-up: probe, cure, probe again; nothing is touched where it may not be.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeFindings, reportOf } from "./doctor.ts";
import type { Finding, Need, NeedName } from "./finding.ts";
import { sallyportPaths } from "./paths.ts";
import { setUp } from "./setup.ts";

let opt: string;
let told: string[];
beforeEach(async () => {
  opt = await mkdtemp(join(tmpdir(), "setup-"));
  told = [];
});
afterEach(() => rm(opt, { recursive: true, force: true }));

const reporter = {
  begin: (need: string) => told.push(`begin ${need}`),
  note: (line: string) => told.push(line),
  end: (need: string, problem?: string) => told.push(`end ${need}${problem === undefined ? "" : `: ${problem}`}`),
};

/** A need that is missing until it is cured. */
function curable(name: NeedName, cure: () => Promise<void> = async () => undefined): Need & { cured: boolean } {
  const need = {
    name,
    cured: false,
    probe: async (): Promise<Finding> => {
      if (need.cured) return { need: name, state: "ok", why: "it is needed" };
      const apply = async () => {
        await cure();
        need.cured = true;
      };
      return {
        need: name,
        state: "missing",
        why: "it is needed",
        problem: "not there",
        cure: { say: ["type this"], apply },
      };
    },
  };
  return need;
}

function run(needs: readonly Need[], mayInstall = true) {
  return setUp({ paths: sallyportPaths({ opt }), mayInstall, reporter, needs });
}

describe("setUp", () => {
  it("cures what is missing, in order, and says so", async () => {
    const result = await run([curable("packages"), curable("users")]);
    expect(result).toMatchObject({ ok: true, cured: ["packages", "users"] });
    expect(told).toEqual(["begin packages", "end packages", "begin users", "end users"]);
  });

  it("does nothing where all is there", async () => {
    const need = curable("users");
    need.cured = true;
    expect(await run([need])).toMatchObject({ ok: true, cured: [] });
    expect(told).toEqual([]);
  });

  it("touches nothing where it may not, and reports everything at once", async () => {
    const result = await run([curable("packages"), curable("users")], false);
    expect(result).toMatchObject({ ok: false, cured: [] });
    expect(result.findings.map((finding) => finding.state)).toEqual(["missing", "missing"]);
    expect(told).toEqual([]);
  });

  it("installs nothing where something else can never be mended", async () => {
    const hopeless: Need = {
      name: "platform",
      probe: async () => ({ need: "platform", state: "broken", why: "it is needed", problem: "wrong system" }),
    };
    const need = curable("packages");
    expect((await run([hopeless, need])).ok).toBe(false);
    expect(need.cured).toBe(false);
  });

  it("stops at a cure that fails, with its words", async () => {
    const last = curable("users");
    const failing = curable("packages", async () => {
      throw new Error("the mirror is down");
    });
    const result = await run([failing, last]);
    expect(result).toMatchObject({ ok: false, stoppedAt: "packages", cured: [] });
    expect(result.findings[0]?.problem).toBe("the mirror is down");
    expect(last.cured).toBe(false);
    expect(told.at(-1)).toBe("end packages: the mirror is down");
  });

  it("makes a finding of a probe that fails", async () => {
    const blind: Need = {
      name: "kernel",
      probe: async () => {
        throw new Error("cannot look");
      },
    };
    expect((await run([blind])).findings).toMatchObject([{ need: "kernel", state: "broken", problem: "cannot look" }]);
  });

  it("waits for another set-up, and then finds its work done", async () => {
    let cures = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const need = curable("packages", async () => {
      cures += 1;
      await gate;
    });
    const both = [run([need]), run([need])];
    await expect.poll(() => told.join("\n"), { timeout: 5_000 }).toContain("begin lock");
    release();
    const results = await Promise.all(both);
    expect(results.every((result) => result.ok)).toBe(true);
    expect(cures).toBe(1);
  });
});

describe("describeFindings", () => {
  it("says for each need what is wrong, why it matters and what to type", async () => {
    const { findings, ok } = reportOf((await run([curable("packages")], false)).findings);
    expect(ok).toBe(false);
    const text = describeFindings(findings).join("\n");
    expect(text).toMatch(/missing packages +not there\n +why: it is needed\n +type: type this/);
  });
});
