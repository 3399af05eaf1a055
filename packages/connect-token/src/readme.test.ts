// The examples of the README do what they say, and its tables are the code's.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import * as assertion from "./assertion.ts";
import { assertionClaims, type ConnectClaims, connectClaims } from "./claims.ts";
import * as issue from "./issue.ts";
import * as limits from "./limits.ts";
import * as verify from "./verify.ts";

const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? "");
const names = { issue, verify, assertion };

interface Checks {
  readonly is: (actual: unknown, expected: unknown) => void;
  /** A code, or a whole message. */
  readonly throws: (act: () => unknown, what: string) => Promise<void>;
}

/** `value; // → expected` and `call; // throws code` as checks; the expectation may stand on the next line. */
function bodyOf(block: string): string {
  return block
    .replace(/^import (\{.*?\}) from "@sallyport\/connect-token\/(\w+)";$/gm, "const $1 = names.$2;")
    .replace(/^(\S.*);\s*\/\/ → (.*)$/gm, "checks.is($1, $2);")
    .replace(/^(\S.*); \/\/ throws (.*)$/gm, 'await checks.throws(async () => $1, "$2");');
}

describe("the README", () => {
  it("has examples, and each states something", () => {
    expect(blocks.length).toBeGreaterThan(3);
    for (const block of blocks) expect(bodyOf(block)).toMatch(/^(await )?checks\./m);
    expect(blocks.map(bodyOf).join("")).not.toMatch(/→|\/\/ throws|^import/m);
  });

  it.each(blocks.map((block, index) => [index, block]))("is right in example %i", async (_index, block) => {
    let made = 0;
    const checks: Checks = {
      is: (actual, expected) => {
        made += 1;
        expect(actual).toEqual(expected);
      },
      throws: async (act, what) => {
        made += 1;
        const { code, message } = await failure(act);
        expect([code, message]).toContain(what);
      },
    };
    const run = runInThisContext(`async (names, checks) => {${bodyOf(block)}}`) as (
      from: typeof names,
      to: Checks,
    ) => Promise<void>;
    await run(names, checks);
    expect(made).toBe(block.match(/→|\/\/ throws/g)?.length);
  });

  it("names every limit as it is", () => {
    for (const [name, value] of Object.entries(limits)) {
      expect(readme).toContain(`| \`${name}\` | ${value.toLocaleString("en")} |`);
    }
  });

  it("says of every code what a proxy answers", () => {
    const table = readme.slice(readme.indexOf("## Errors"), readme.indexOf("## How it is shown"));
    const codes: Readonly<Record<verify.ConnectTokenErrorCode, true>> = {
      Malformed: true,
      UnknownKey: true,
      BadSignature: true,
      BadClaims: true,
      UnknownClaim: true,
      WrongIssuer: true,
      WrongSandbox: true,
      WrongPort: true,
      NotYetValid: true,
      Expired: true,
      Revoked: true,
      Ambiguous: true,
      InvalidArgument: true,
      InvalidKeySet: true,
    };
    for (const code of Object.keys(codes)) expect(table).toContain(`\`${code}\``);
  });

  it("lists the carriers in their order, and every claim that is taken", async () => {
    const list = (items: readonly string[]) => items.map((name) => `\`${name}\``);
    expect(readme).toContain(`Cookies: ${list(verify.COOKIE_NAMES).join(", ")}.`);
    expect(readme).toContain(`The query: ${list(verify.TOKEN_NAMES).join(", then ")}.`);
    const common = { iss: "a", aud: "a", ws: "a", port: 1, ud: "1", iat: 1, exp: 2 };
    const claims: Required<ConnectClaims> = { ...common, ep: 0, jti: "a", embed: true };
    expect(connectClaims({ ...claims })).toEqual(claims);
    expect(assertionClaims({ ...common, sub: "a" }).sub).toBe("a");
    for (const name of Object.keys(claims)) expect(readme).toMatch(new RegExp(`^\\| .*\`${name}\`.* \\|`, "m"));
    expect((await failure(() => connectClaims({ ...claims, only: {} }))).code).toBe("UnknownClaim");
  });
});
