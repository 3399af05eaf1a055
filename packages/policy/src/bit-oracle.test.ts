// Properties: the package against an oracle that knows addresses only as strings of bits.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bitString,
  edgesOf,
  family,
  grant,
  packetNear,
  portsNear,
  prefix,
  type Scene,
  scene,
} from "../test/arbitraries.ts";
import {
  type Bits,
  cidrText,
  covered,
  entryText,
  holds,
  lawAllows,
  never,
  type Packet,
  privates,
  read,
  rulesAllow,
  text,
  unique,
} from "../test/oracle.ts";
import {
  compile,
  type Destination,
  evaluate,
  formatDestination,
  mergeCidrs,
  type NetworkPolicy,
  type NetworkRules,
  type PortRule,
  parseDestination,
  parseGrants,
  parsePolicy,
  tightens,
} from "./index.ts";

const policyOf = ({ mode, entries }: Scene): NetworkPolicy =>
  mode === "allow" ? { allow: entries.map(entryText) } : mode;

const grantsOf = ({ grants }: Scene): readonly string[] => parseGrants(grants.map(cidrText));

/** A packet as a destination; undefined for a protocol that no destination can name. */
const destinationOf = ({ address, protocol, port }: Packet): Destination | undefined => {
  if (protocol === "sctp") return undefined;
  return { address: text(address), protocol, ...(port === 0 ? {} : { port }) };
};

describe("decisions against the bit oracle", () => {
  it("evaluates and compiles every packet as the law says", () => {
    const cases = scene.chain((base) =>
      fc.array(packetNear(base), { minLength: 1, maxLength: 16 }).map((packets) => ({ base, packets })),
    );
    fc.assert(
      fc.property(cases, ({ base, packets }) => {
        const policy = policyOf(base);
        const rules = compile(policy, grantsOf(base));
        for (const packet of packets) {
          const expected = lawAllows(base.mode, base.entries, base.grants, packet);
          const shown = JSON.stringify(packet);
          expect(rulesAllow(rules, packet), shown).toBe(expected);
          const destination = destinationOf(packet);
          if (destination === undefined) continue;
          const answer = evaluate(policy, grantsOf(base), destination);
          expect(answer.allowed, shown).toBe(expected);
          expect(answer.only, shown).toBeUndefined();
          expect(evaluate(policy, grantsOf(base), formatDestination(destination)), shown).toEqual(answer);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("answers for what a destination leaves out as for all of it", () => {
    const cases = scene.chain((base) => fc.tuple(fc.constant(base), packetNear(base)));
    fc.assert(
      fc.property(cases, ([base, packet]) => {
        const lets = (protocol: Packet["protocol"], port: number): boolean =>
          lawAllows(base.mode, base.entries, base.grants, { ...packet, protocol, port });
        const probes = portsNear(base.entries);
        const ofPorts = (protocol: "tcp" | "udp"): boolean[] => probes.map((port) => lets(protocol, port));
        const address = text(packet.address);
        for (const protocol of ["tcp", "udp"] as const) {
          const answers = ofPorts(protocol);
          const { allowed, only } = evaluate(policyOf(base), grantsOf(base), { address, protocol });
          expect(allowed).toBe(answers.includes(true));
          expect(only === undefined).toBe(!allowed || !answers.includes(false));
        }
        const all = [...ofPorts("tcp"), ...ofPorts("udp"), lets("icmp", 0), lets("sctp", 0)];
        const { allowed, only } = evaluate(policyOf(base), grantsOf(base), address);
        expect(allowed).toBe(all.includes(true));
        expect(only === undefined).toBe(!allowed || !all.includes(false));
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps the machines of the platform out of every policy", () => {
    const cases = scene.chain((base) =>
      fc.record({ base: fc.constant(base), packet: packetNear(base), own: fc.array(prefix, { maxLength: 2 }) }),
    );
    fc.assert(
      fc.property(cases, ({ base, packet, own: others }) => {
        const own = [...others, packet.address];
        const destination = { address: text(packet.address) };
        const without = evaluate(policyOf(base), grantsOf(base), destination);
        const answer = evaluate(policyOf(base), grantsOf(base), destination, { ownAddresses: own.map(cidrText) });
        expect(lawAllows(base.mode, base.entries, base.grants, packet, own)).toBe(false);
        expect(answer.allowed).toBe(false);
        expect(answer.rule).toBe(without.rule.startsWith("never ") ? without.rule : "never host");
        const elsewhere = evaluate(policyOf(base), grantsOf(base), destination, {
          ownAddresses: others.filter((value) => !holds(value, packet.address)).map(cidrText),
        });
        expect(elsewhere).toEqual(without);
      }),
      { numRuns: 300 },
    );
  });

  it("tells a change that takes something away from one that does not", () => {
    // Each cell of equal answers holds a first address of a prefix or one after a last, and a first port or one after a last.
    const packetsOf = ({ entries, grants }: Scene): Packet[] => {
      const prefixes = [...entries.map(({ at }) => at), ...grants];
      const addresses = unique([...prefixes, ...never, ...privates].flatMap(edgesOf));
      const atPorts = portsNear(entries);
      return addresses.flatMap((address) => [
        ...(["tcp", "udp"] as const).flatMap((protocol) => atPorts.map((port) => ({ address, protocol, port }))),
        { address, protocol: "icmp", port: 0 },
        { address, protocol: "sctp", port: 0 },
      ]);
    };
    const small = scene.map((base) => ({
      ...base,
      entries: base.entries.slice(0, 3),
      grants: base.grants.slice(0, 1),
    }));
    // Related scenes: one entry more, one less, or all else.
    const pairs = fc.tuple(small, small, fc.nat(3)).map(([left, right, kind]) => {
      if (kind === 0) return [left, right] as const;
      const more = { ...left, entries: [...left.entries, ...right.entries.slice(0, 1)] };
      return kind === 1 ? ([left, more] as const) : ([more, left] as const);
    });
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const both = {
          ...before,
          entries: [...before.entries, ...after.entries],
          grants: [...before.grants, ...after.grants],
        };
        const lets = (base: Scene, packet: Packet): boolean => lawAllows(base.mode, base.entries, base.grants, packet);
        const lost = packetsOf(both).some((packet) => lets(before, packet) && !lets(after, packet));
        const rules = (base: Scene): NetworkRules => compile(policyOf(base), grantsOf(base));
        expect(tightens(rules(before), rules(after))).toBe(lost);
      }),
      { numRuns: 150 },
    );
  });
});

describe("parsing against the bit oracle", () => {
  it("accepts exactly the entries that could reach something", () => {
    fc.assert(
      fc.property(fc.oneof(prefix, grant), fc.array(grant, { maxLength: 3 }).map(unique), (entry, grants) => {
        const reachesNothing = covered(entry, never);
        const onlyPrivate = covered(entry, [...never, ...privates]);
        const accepted = !reachesNothing && (!onlyPrivate || covered(entry, grants));
        const granted = parseGrants(grants.map(cidrText));
        const plain = (): NetworkPolicy => parsePolicy({ allow: [cidrText(entry)] }, { grants: granted });
        const rule = (): NetworkPolicy =>
          parsePolicy({ allow: [{ cidr: cidrText(entry), protocol: "udp" }] }, { grants: granted });
        if (accepted) {
          expect(plain()).toEqual({ allow: [expect.stringMatching(/\/\d+$/)] });
          expect(rule()).toMatchObject({ allow: [{ protocol: "udp" }] });
        } else {
          expect(plain).toThrow(/^network\.allow\[0\]: /);
          expect(rule).toThrow(/^network\.allow\[0\]\.cidr: /);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("gives a canonical policy, which parses to itself and compiles to the same", () => {
    fc.assert(
      fc.property(scene, (base) => {
        const parsed = parseOrNothing(base);
        fc.pre(parsed !== undefined);
        const grants = grantsOf(base);
        expect(parsePolicy(structuredClone(parsed), { grants })).toEqual(parsed);
        expect(compile(parsed, grants)).toEqual(compile(policyOf(base), grants));
        expect(() => compile(parsed, [])).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  it("reads its own canonical text, however an address was written", () => {
    const spelled = family.chain((kind) =>
      fc.tuple(bitString(kind === 4 ? 32 : 128), fc.boolean(), fc.boolean()).map(([bits, upper, padded]) => {
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
        expect(`${parseDestination(spelling).address}/${bits.length}`).toBe(canonical);
      }),
      { numRuns: 1000 },
    );
  });
});

/** The scene's policy as parsed; undefined where an entry of it is refused. */
function parseOrNothing(base: Scene): NetworkPolicy | undefined {
  try {
    return parsePolicy(policyOf(base), { grants: grantsOf(base) });
  } catch {
    return undefined;
  }
}

describe("compiled rules", () => {
  it("are disjoint, sorted, merged lists that hold no reserved address", () => {
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
        expect([...rules.granted4, ...rules.granted6, ...rules.portRules]).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("hold disjoint boxes of ports, beside what the lists hold and beside what nothing reaches", () => {
    fc.assert(
      fc.property(scene, (base) => {
        const rules = compile(policyOf(base), grantsOf(base));
        const lists = [rules.allow4, rules.allow6, rules.granted4, rules.granted6].flat().map(read);
        rules.portRules.forEach((rule, index) => {
          expect(isWellFormed(rule)).toBe(true);
          expect(rules.portRules.slice(index + 1).some((other) => meet(rule, other))).toBe(false);
          expect([...lists, ...never].some((row) => overlaps(rule, row))).toBe(false);
          expect(privates.some((row) => overlaps(rule, row))).toBe(rule.granted);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("depend on what a policy allows, not on how it is written", () => {
    const respelled = scene.chain((base) =>
      fc.shuffledSubarray([...base.entries], { minLength: base.entries.length }).map((entries) => ({ base, entries })),
    );
    fc.assert(
      fc.property(respelled, ({ base, entries }) => {
        const apart = entries.flatMap((entry) => {
          const protocols = entry.protocol === undefined ? (["udp", "tcp"] as const) : [entry.protocol];
          const pieces = entry.ports?.map((range) => [range]) ?? [undefined];
          if (entry.protocol === undefined && entry.ports === undefined) return [entry];
          return protocols.flatMap((protocol) => pieces.map((ports) => ({ ...entry, protocol, ports })));
        });
        const again = { ...base, entries: [...apart, ...entries] };
        expect(compile(policyOf(again), grantsOf(base))).toEqual(compile(policyOf(base), grantsOf(base)));
      }),
      { numRuns: 500 },
    );
  });

  it("are merged to exactly the union", () => {
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

const bitsOf = (address: string): string => read(address).bits;

function isWellFormed({ family: kind, first, last, protocol, fromPort, toPort }: PortRule): boolean {
  const ported = protocol === "icmp" ? fromPort === 0 && toPort === 0 : fromPort >= 1 && toPort <= 65_535;
  const familyFits = [first, last].every((address) => address.includes(":") === (kind === 6));
  return ported && familyFits && fromPort <= toPort && bitsOf(first) <= bitsOf(last);
}

function meet(left: PortRule, right: PortRule): boolean {
  return (
    left.family === right.family &&
    left.protocol === right.protocol &&
    left.fromPort <= right.toPort &&
    right.fromPort <= left.toPort &&
    bitsOf(left.first) <= bitsOf(right.last) &&
    bitsOf(right.first) <= bitsOf(left.last)
  );
}

function overlaps(rule: PortRule, { family: kind, bits }: Bits): boolean {
  if (rule.family !== kind) return false;
  const length = kind === 4 ? 32 : 128;
  return bitsOf(rule.first) <= bits.padEnd(length, "1") && bits.padEnd(length, "0") <= bitsOf(rule.last);
}
