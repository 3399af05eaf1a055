// The hint of an answer, in words and in deeds: who follows it gets what it says.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packetNear, scene } from "../test/arbitraries.ts";
import { cidrText, entryText, text } from "../test/oracle.ts";
import {
  type AllowRule,
  type Destination,
  evaluate,
  explain,
  type NetworkPolicy,
  PRIVATE,
  parseGrants,
  parsePolicy,
} from "./index.ts";

const web: NetworkPolicy = { allow: [{ cidr: "198.51.100.0/24", protocol: "tcp", ports: [443] }, "198.51.100.7/32"] };
const privateWeb: NetworkPolicy = { allow: [{ cidr: "10.1.0.0/16", protocol: "tcp", ports: [443] }] };

/** What a hint says to grant, and what to add to the list. */
function adviceOf(hint: string): { grants: string[]; entries: (string | AllowRule)[] } {
  const found = (pattern: RegExp): string[] => [...hint.matchAll(pattern)].map((match) => match[1] ?? "");
  const literals = found(/(?:add |allow: \[)("[^"]+"|\{[^}]*\})/g);
  const json = literals.map((literal) => literal.replace(/(cidr|protocol|ports):/g, '"$1":'));
  const policy = parsePolicy({ allow: json.map((each): unknown => JSON.parse(each)) }, { grants: EVERY_GRANT });
  return { grants: found(/grant ("[^"]+")/g).map((text) => text.slice(1, -1)), entries: listOf(policy) };
}

const EVERY_GRANT = PRIVATE.map((row) => row.cidr);
const listOf = (policy: NetworkPolicy): (string | AllowRule)[] => (typeof policy === "string" ? [] : [...policy.allow]);

describe("explain", () => {
  it.each<[NetworkPolicy, string[], string, string, string]>([
    ["open", [], "169.254.169.254:80", "never 169.254.0.0/16", ""],
    ["open", [], "198.51.100.99", "never host", ""],
    ["open", [], "::ffff:198.51.100.7", "never ::ffff:0:0/96", "use the IPv4 address itself, not an IPv6 form of it"],
    ["open", [], "2002:c633:6407::", "never 2002::/16", "use the IPv4 address itself, not an IPv6 form of it"],
    ["open", [], "198.51.100.7", "open", 'to close it, use the policy "blocked" or an allow list without it'],
    [
      "open",
      ["10.0.0.0/8"],
      "10.1.2.3:80",
      "private 10.0.0.0/8",
      'ask the operator to grant "10.1.2.3/32" to the workspace, and use the policy { allow: [{ cidr: "10.1.2.3/32", protocol: "tcp", ports: [80] }] }',
    ],
    [
      "blocked",
      [],
      "icmp://2001:db8::1",
      "blocked",
      'to open it, use the policy "open" or { allow: [{ cidr: "2001:db8::1/128", protocol: "icmp" }] }',
    ],
    [
      "blocked",
      [],
      "10.1.2.3",
      "blocked",
      'ask the operator to grant "10.1.2.3/32" to the workspace, and use the policy { allow: ["10.1.2.3/32"] }',
    ],
    [
      web,
      [],
      "udp://198.51.100.9:53",
      "unlisted",
      'add { cidr: "198.51.100.9/32", protocol: "udp", ports: [53] } to the allow list',
    ],
    [web, [], "198.51.101.1", "unlisted", 'add "198.51.101.1/32" to the allow list'],
    [web, [], "198.51.100.9", "allow 198.51.100.0/24", 'to open the rest, add "198.51.100.9/32" to the allow list'],
    [
      web,
      [],
      "198.51.100.7:443",
      "allow 198.51.100.0/24",
      "to close it, take network.allow[0] (198.51.100.0/24), network.allow[1] (198.51.100.7/32) out or make it narrower",
    ],
    [
      web,
      [],
      "198.51.100.7",
      "allow 198.51.100.7/32",
      "to close it, take network.allow[0] (198.51.100.0/24), network.allow[1] (198.51.100.7/32) out or make it narrower",
    ],
    [
      privateWeb,
      ["10.0.0.0/8"],
      "10.1.2.3:443",
      "grant 10.1.0.0/16",
      "to close it, take network.allow[0] (10.1.0.0/16) out or make it narrower",
    ],
    [
      privateWeb,
      [],
      "10.1.2.3:443",
      "private 10.0.0.0/8",
      'ask the operator to grant "10.1.0.0/16" to the workspace: an entry counts for private addresses only where all of it is granted',
    ],
    [
      privateWeb,
      [],
      "10.1.2.3:80",
      "private 10.0.0.0/8",
      'ask the operator to grant "10.1.2.3/32" to the workspace, and add { cidr: "10.1.2.3/32", protocol: "tcp", ports: [80] } to the allow list',
    ],
    [
      privateWeb,
      ["10.1.2.0/24"],
      "10.1.2.3:443",
      "private 10.0.0.0/8",
      'add { cidr: "10.1.2.3/32", protocol: "tcp", ports: [443] } to the allow list: an entry counts for private addresses only where all of it is granted',
    ],
    [
      privateWeb,
      ["10.0.0.0/8"],
      "10.2.2.3:443",
      "private 10.0.0.0/8",
      'add { cidr: "10.2.2.3/32", protocol: "tcp", ports: [443] } to the allow list',
    ],
    [
      privateWeb,
      ["10.0.0.0/8"],
      "10.1.2.3:80",
      "private 10.0.0.0/8",
      'add { cidr: "10.1.2.3/32", protocol: "tcp", ports: [80] } to the allow list',
    ],
    [
      { allow: ["0.0.0.0/0", "10.0.0.0/8"] },
      [],
      "10.1.2.3",
      "private 10.0.0.0/8",
      'ask the operator to grant "10.0.0.0/8" to the workspace: an entry counts for private addresses only where all of it is granted',
    ],
    [
      { allow: ["0.0.0.0/0"] },
      [],
      "10.1.2.3",
      "private 10.0.0.0/8",
      'ask the operator to grant "10.1.2.3/32" to the workspace, and add "10.1.2.3/32" to the allow list',
    ],
  ])("%j with grants %j: %s is %s", (policy, grants, destination, rule, hint) => {
    const options = { ownAddresses: ["198.51.100.99", "2001:db8:ffff::/48"] };
    const explanation = explain(policy, grants, destination, options);
    expect(explanation).toMatchObject({ rule, hint });
    const { hint: _, ...evaluation } = explanation;
    expect(evaluation).toStrictEqual(evaluate(policy, grants, destination, options));
  });

  it("names no more entries than a sentence bears", () => {
    const allow = ["198.51.100.0/24", "198.51.100.0/23", "198.51.100.0/22", "198.51.96.0/21", "198.51.96.0/20"];
    const { hint } = explain({ allow }, [], "198.51.100.7");
    expect(hint).toContain("network.allow[3] (198.51.96.0/21) and 1 more entries out");
    expect(hint).not.toContain("network.allow[4]");
    expect(explain({ allow: allow.slice(1) }, [], "198.51.100.7").hint).toContain(
      "network.allow[3] (198.51.96.0/20) out",
    );
  });

  it("opens what it says it opens, and closes what it says it closes", () => {
    const cases = scene.chain((base) => fc.tuple(fc.constant(base), packetNear(base), fc.nat(2)));
    fc.assert(
      fc.property(cases, ([{ mode, entries, grants }, packet, parts]) => {
        fc.pre(packet.protocol !== "sctp");
        const { protocol, port } = packet;
        const whole = { address: text(packet.address), protocol, ...(port === 0 ? {} : { port }) };
        const destination: Destination = parts === 0 ? { address: whole.address } : whole;
        const policy: NetworkPolicy = mode === "allow" ? { allow: entries.map(entryText) } : mode;
        const granted = parseGrants(grants.map(cidrText));
        const { allowed, only, hint, rule } = explain(policy, granted, destination);
        if (rule.startsWith("never ")) return;
        const list = listOf(policy);
        if (allowed && only === undefined && typeof policy !== "string") {
          fc.pre(!hint.includes("more entries"));
          const named = new Set([...hint.matchAll(/network\.allow\[(\d+)\]/g)].map((match) => Number(match[1])));
          const fewer = { allow: list.filter((_, index) => !named.has(index)) };
          expect(named.size).toBeGreaterThan(0);
          expect(evaluate(fewer, granted, destination).allowed).toBe(false);
          return;
        }
        const advice = adviceOf(hint);
        if (rule === "open") {
          expect(advice).toEqual({ grants: [], entries: [] });
          return;
        }
        const after = evaluate({ allow: [...list, ...advice.entries] }, [...granted, ...advice.grants], destination);
        expect(after.allowed, hint).toBe(true);
        expect(after.only, hint).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });
});
