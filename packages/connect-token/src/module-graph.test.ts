// Who imports ./verify cannot sign: no module that it reaches, ours or jose's, holds a way to.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const require = createRequire(import.meta.url);
const IMPORT = /^\s*(?:import|export)(\s+type)?\s(?:[^;"]*?from\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** Paths of all modules that one reaches when it runs; types are gone by then. */
function graphOf(entry: string): ReadonlyMap<string, string> {
  const seen = new Map<string, string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    const text = readFileSync(path, "utf8");
    seen.set(path, text);
    for (const [, type, from, dynamic] of text.matchAll(IMPORT)) {
      if (type === undefined) visit(resolved(from ?? dynamic ?? "", path));
    }
  };
  visit(join(import.meta.dirname, entry));
  return seen;
}

function resolved(specifier: string, from: string): string {
  return specifier.startsWith(".") ? join(dirname(from), specifier) : require.resolve(specifier, { paths: [from] });
}

const nameOf = (path: string) => path.replace(/^.*\/(?:src|dist\/webapi)\//, "");
const SIGNS = /subtle\.sign\b|subtle\.generateKey\b|CompactSign|SignJWT|createSignature|createSign\b|generateKeyPair/;

describe("./verify", () => {
  const graph = graphOf("verify.ts");

  it("reaches no module that signs or makes keys", () => {
    expect([...graph].filter(([, text]) => SIGNS.test(text)).map(([path]) => nameOf(path))).toEqual([]);
  });

  it("reaches of jose what verifies, and of ours nothing that issues", () => {
    const names = [...graph.keys()].map(nameOf);
    expect(names).toEqual(
      expect.arrayContaining(["verifier.ts", "carriers.ts", "jws/compact/verify.js", "lib/jws_verify.js"]),
    );
    expect(names.filter((name) => /sign|issue|generate|^index/i.test(name)).sort()).toEqual(["signature.ts"]);
  });

  it("exports no function of such a name", async () => {
    const names = Object.keys(await import("./verify.ts"));
    expect(names).toContain("ConnectTokenVerifier");
    expect(names.filter((name) => /sign|issue|mint|generate/i.test(name))).toEqual([]);
  });
});

describe("./assertion", () => {
  it("reaches nothing that issues connect tokens", () => {
    const names = [...graphOf("assertion.ts").keys()].map(nameOf);
    expect(names).toContain("signing-key.ts");
    expect(names).not.toContain("issue-token.ts");
  });
});

describe("the walk", () => {
  it("finds what it looks for where it is", () => {
    const graph = graphOf("issue.ts");
    const found = [...graph].filter(([, text]) => SIGNS.test(text)).map(([path]) => nameOf(path));
    expect(found).toEqual(expect.arrayContaining(["signing-key.ts", "lib/jws_sign.js", "key/generate_key_pair.js"]));
    expect([...graph.keys()].some((path) => path.includes("/node:"))).toBe(false);
  });
});
