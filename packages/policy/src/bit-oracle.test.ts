// Properties: the package against an oracle that knows addresses only as strings of bits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compile,
  evaluate,
  mergeCidrs,
  NEVER_REACHABLE,
  type NetworkPolicy,
  type NetworkRules,
  PRIVATE,
  parseGrants,
  parsePolicy,
} from "./index.ts";

/** A prefix: family and its leading bits. An address is one with all bits. */
interface Bits {
  readonly family: 4 | 6;
  readonly bits: string;
}

const width = (family: 4 | 6): number => (family === 4 ? 32 : 128);

function text({ family, bits }: Bits): string {
  const full = bits.padEnd(width(family), "0");
  const size = family === 4 ? 8 : 16;
  const parts = Array.from({ length: width(family) / size }, (_, index) =>
    Number.parseInt(full.slice(index * size, index * size + size), 2).toString(family === 4 ? 10 : 16),
  );
  return parts.join(family === 4 ? "." : ":");
}

const cidrText = (value: Bits): string => `${text(value)}/${value.bits.length}`;

/** Reads table texts and answers of the package: expands `::` by hand. */
function read(cidr: string): Bits {
  const [address = "", prefix = ""] = cidr.split("/");
  if (!address.includes(":")) {
    const bits = address.split(".").map((octet) => Number(octet).toString(2).padStart(8, "0"));
    return { family: 4, bits: bits.join("").slice(0, Number(prefix)) };
  }
  const [head = "", tail = ""] = address.split("::");
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const filler = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const bits = [...groups(head), ...filler, ...groups(tail)].map((group) =>
    Number.parseInt(group, 16).toString(2).padStart(16, "0"),
  );
  return { family: 6, bits: bits.join("").slice(0, Number(prefix)) };
}

const holds = (outer: Bits, inner: Bits): boolean => outer.family === inner.family && inner.bits.startsWith(outer.bits);

/** Whether the union of a list covers a prefix, by splitting it until the answer is plain. */
function covered(value: Bits, list: readonly Bits[]): boolean {
  if (list.some((item) => holds(item, value))) return true;
  if (!list.some((item) => holds(value, item))) return false;
  return ["0", "1"].every((bit) => covered({ ...value, bits: value.bits + bit }, list));
}

const never = NEVER_REACHABLE.map((row) => read(row.cidr));
const privates = PRIVATE.map((row) => read(row.cidr));

/** The law, in the words of the law. */
function lawAllows(mode: NetworkPolicy, entries: readonly Bits[], grants: readonly Bits[], address: Bits): boolean {
  if (never.some((row) => holds(row, address)) || mode === "blocked") return false;
  const isPrivate = privates.some((row) => holds(row, address));
  if (mode === "open") return !isPrivate;
  const listed = entries.filter((entry) => holds(entry, address));
  return isPrivate ? listed.some((entry) => covered(entry, grants)) : listed.length > 0;
}

/** What the kernel does with the compiled rules: never set, mode, granted, private set, allow list, drop. */
function rulesAllow(rules: NetworkRules, address: Bits): boolean {
  const within = (list: readonly string[]): boolean => list.some((cidr) => holds(read(cidr), address));
  if (never.some((row) => holds(row, address)) || rules.mode === "blocked") return false;
  if (within([...rules.granted4, ...rules.granted6])) return true;
  if (privates.some((row) => holds(row, address))) return false;
  return rules.mode === "open" || within([...rules.allow4, ...rules.allow6]);
}

const bitString = (length: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom("0", "1"), { minLength: length, maxLength: length }).map((bits) => bits.join(""));

const family = fc.constantFrom<4 | 6>(4, 6);
const anywhere: fc.Arbitrary<Bits> = family.chain((kind) =>
  fc.integer({ min: 0, max: width(kind) }).chain((length) => bitString(length).map((bits) => ({ family: kind, bits }))),
);
/** Prefixes around the rows of a table: the row, its parents, its children, its neighbours. */
const near = (rows: readonly Bits[]): fc.Arbitrary<Bits> =>
  fc.constantFrom(...rows).chain(({ family: kind, bits }) =>
    fc.oneof(
      fc.integer({ min: 0, max: bits.length }).map((length) => ({ family: kind, bits: bits.slice(0, length) })),
      fc
        .integer({ min: 0, max: width(kind) - bits.length })
        .chain((more) => bitString(more).map((tail) => ({ family: kind, bits: bits + tail }))),
      fc.integer({ min: 1, max: bits.length }).map((length) => ({
        family: kind,
        bits: bits.slice(0, length - 1) + (bits[length - 1] === "0" ? "1" : "0"),
      })),
    ),
  );
const prefix = fc.oneof(anywhere, near(never), near(privates));
const grant = fc
  .constantFrom(...privates)
  .chain(({ family: kind, bits }) =>
    fc
      .integer({ min: 0, max: 20 })
      .chain((more) =>
        bitString(Math.min(more, width(kind) - bits.length)).map((tail) => ({ family: kind, bits: bits + tail })),
      ),
  )
  .filter((value) => !covered(value, never));

/** Addresses inside, at the ends of, and beside the prefixes in play. */
const addressNear = (prefixes: readonly Bits[]): fc.Arbitrary<Bits> => {
  const end = (value: Bits, fill: string): Bits => ({ ...value, bits: value.bits.padEnd(width(value.family), fill) });
  const step = (value: Bits, by: bigint): Bits => {
    const modulus = 1n << BigInt(width(value.family));
    const moved = (BigInt(`0b${value.bits}`) + by + modulus) % modulus;
    return { ...value, bits: moved.toString(2).padStart(width(value.family), "0") };
  };
  return fc.constantFrom(...prefixes).chain((value) =>
    fc.oneof(
      fc.constantFrom(end(value, "0"), end(value, "1"), step(end(value, "0"), -1n), step(end(value, "1"), 1n)),
      bitString(width(value.family) - value.bits.length).map((tail) => ({ ...value, bits: value.bits + tail })),
    ),
  );
};

const unique = (list: readonly Bits[]): Bits[] => [...new Map(list.map((value) => [cidrText(value), value])).values()];

describe("policy against the bit oracle", () => {
  it("evaluates and compiles every address as the law says", () => {
    const scene = fc
      .record({
        mode: fc.constantFrom("open", "blocked", "allow", "allow", "allow"),
        entries: fc.array(fc.oneof(prefix, grant), { maxLength: 8 }).map(unique),
        grants: fc.array(grant, { maxLength: 4 }).map(unique),
      })
      .chain((base) =>
        fc
          .array(addressNear([...base.entries, ...base.grants, ...never, ...privates]), { minLength: 1, maxLength: 12 })
          .map((addresses) => ({ ...base, addresses })),
      );
    fc.assert(
      fc.property(scene, ({ mode, entries, grants, addresses }) => {
        const grantTexts = parseGrants(grants.map(cidrText));
        const policy: NetworkPolicy =
          mode === "open" || mode === "blocked" ? mode : { allow: entries.map((entry) => cidrText(entry)) };
        const rules = compile(policy, grantTexts);
        for (const address of addresses) {
          const expected = lawAllows(policy, entries, grants, address);
          expect(evaluate(policy, grantTexts, text(address)).allowed, text(address)).toBe(expected);
          expect(rulesAllow(rules, address), text(address)).toBe(expected);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("accepts exactly the entries that could reach something", () => {
    fc.assert(
      fc.property(fc.oneof(prefix, grant), fc.array(grant, { maxLength: 3 }).map(unique), (entry, grants) => {
        const reachesNothing = covered(entry, never);
        const onlyPrivate = covered(entry, [...never, ...privates]);
        const accepted = !reachesNothing && (!onlyPrivate || covered(entry, grants));
        const parse = (): NetworkPolicy =>
          parsePolicy({ allow: [cidrText(entry)] }, { grants: parseGrants(grants.map(cidrText)) });
        if (accepted) expect(parse()).toEqual({ allow: [expect.stringMatching(/\/\d+$/)] });
        else expect(parse).toThrow(/network\.allow\[0\]/);
      }),
      { numRuns: 1500 },
    );
  });

  it("compiles to disjoint, sorted, merged lists that hold no reserved address", () => {
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 12 }).map(unique), (entries) => {
        const rules = compile({ allow: entries.map(cidrText) }, []);
        for (const list of [rules.allow4, rules.allow6].map((cidrs) => cidrs.map(read))) {
          list.forEach((value, index) => {
            const others = list.filter((_, other) => other !== index);
            expect(others.some((other) => holds(other, value))).toBe(false);
            expect(covered(value, entries)).toBe(true);
            expect([...never, ...privates].some((row) => holds(row, value) || holds(value, row))).toBe(false);
            const before = list[index - 1];
            if (before !== undefined) expect(before.bits < value.bits).toBe(true);
          });
          // Two halves of one parent would have been joined.
          const halves = new Set(list.map((value) => value.bits));
          for (const { bits } of list.filter((value) => value.bits.endsWith("0"))) {
            expect(halves.has(`${bits.slice(0, -1)}1`)).toBe(false);
          }
        }
        expect([...rules.granted4, ...rules.granted6]).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("reads its own canonical text, however an address was written", () => {
    const spelled = family.chain((kind) =>
      fc.tuple(bitString(width(kind)), fc.boolean(), fc.boolean()).map(([bits, upper, padded]) => {
        const plain = text({ family: kind, bits });
        const groups = padded && kind === 6 ? plain.split(":").map((group) => group.padStart(4, "0")) : [plain];
        const spelling = groups.join(":");
        return { bits, kind, spelling: upper ? spelling.toUpperCase() : spelling };
      }),
    );
    fc.assert(
      fc.property(spelled, ({ bits, kind, spelling }) => {
        const merged = mergeCidrs([spelling]);
        const canonical = (kind === 4 ? merged.v4 : merged.v6)[0] ?? "";
        expect(read(canonical)).toEqual({ family: kind, bits });
        expect(mergeCidrs([canonical])).toEqual(merged);
      }),
      { numRuns: 1000 },
    );
  });

  it("merges to exactly the union", () => {
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 10 }), (list) => {
        const merged = mergeCidrs(list.map(cidrText));
        const back = [...merged.v4, ...merged.v6].map(read);
        expect(back.every((value) => covered(value, list)) && list.every((value) => covered(value, back))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
