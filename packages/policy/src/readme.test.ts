// The examples of the README do what they say.

import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import * as sallyport from "./index.ts";

const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] ?? "");

interface Checks {
  readonly is: (actual: unknown, expected: unknown) => void;
  readonly throws: (act: () => unknown, field: string) => void;
}

/** `value; // → expected` and `call; // throws field` as checks; the expectation may stand on the next line. */
function bodyOf(block: string): string {
  return stripTypeScriptTypes(block)
    .replace(/^import (\{.*?\}) from "@sallyport\/policy";$/gm, "const $1 = sallyport;")
    .replace(/^(\S.*);\s*\/\/ → (.*)$/gm, "checks.is($1, $2);")
    .replace(/^(\S.*); \/\/ throws (.*)$/gm, 'checks.throws(() => $1, "$2");');
}

describe("the README", () => {
  it("has examples, and each states something", () => {
    expect(blocks.length).toBeGreaterThan(3);
    for (const block of blocks) expect(bodyOf(block)).toMatch(/^checks\./m);
    expect(blocks.map(bodyOf).join("")).not.toMatch(/→|throws [a-z]/);
  });

  it.each(blocks.map((block, index) => [index, block]))("is right in example %i", (_index, block) => {
    let made = 0;
    const checks: Checks = {
      is: (actual, expected) => {
        made += 1;
        expect(actual).toEqual(expected);
      },
      throws: (act, field) => {
        made += 1;
        expect(failure(act).field).toBe(field);
      },
    };
    const run = runInThisContext(`(sallyport, checks) => {${bodyOf(block)}}`) as (
      names: typeof sallyport,
      to: Checks,
    ) => void;
    run(sallyport, checks);
    expect(made).toBe(block.match(/→|\/\/ throws/g)?.length);
  });

  it("names the limits as they are, and every rule of the law that it lists", () => {
    for (const [name, value] of Object.entries(sallyport)) {
      if (name.startsWith("MAX_")) expect(readme).toContain(`| \`${name}\` | ${Number(value).toLocaleString("en")} |`);
      expect(readme, name).toContain(name);
    }
    expect(readme).toContain(sallyport.PRIVATE.map((row) => row.cidr).join(", "));
  });
});
