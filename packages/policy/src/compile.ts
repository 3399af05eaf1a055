// Policy and grants → rule data. The security decision ends here; a worker only writes it down as kernel rules.

import type { Family } from "./address.ts";
import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";
import { type Entry, parseEntry } from "./entry.ts";
import type { NetworkPolicy } from "./parse.ts";
import { type PartEntry, type PortRule, type PortSpace, portRulesOf } from "./port-rules.ts";
import { cidrsOf, intersectRanges, type Range, rangeOf, rangesOf, subtractRanges } from "./ranges.ts";
import { NEVER_RANGES, PRIVATE_RANGES } from "./reserved.ts";

/** Everything but never-reachable space. */
const REACHABLE: Readonly<Record<Family, readonly Range[]>> = {
  4: subtractRanges(rangesOf(4, [parseCidr("0.0.0.0/0")]), NEVER_RANGES[4]),
  6: subtractRanges(rangesOf(6, [parseCidr("::/0")]), NEVER_RANGES[6]),
};

/** What is neither never reachable nor private: all that `open` opens. */
export const OPEN_SPACE: Readonly<Record<Family, readonly Range[]>> = {
  4: subtractRanges(REACHABLE[4], PRIVATE_RANGES[4]),
  6: subtractRanges(REACHABLE[6], PRIVATE_RANGES[6]),
};

/**
 * What a worker loads for one sandbox. Lists are canonical, sorted, disjoint, and never touch each other or
 * never-reachable space. `allow*` holds public space only, `granted*` private space only; what they hold is allowed
 * with every protocol. `portRules` holds what else is allowed, of either space, by protocol and port. All are empty
 * unless the mode is `allow`, so `allow` with nothing in them reaches nothing.
 */
export interface NetworkRules {
  readonly mode: "open" | "blocked" | "allow";
  readonly allow4: readonly string[];
  readonly allow6: readonly string[];
  readonly granted4: readonly string[];
  readonly granted6: readonly string[];
  /** Disjoint boxes of addresses, protocol and ports, at most `MAX_PORT_RULES`. */
  readonly portRules: readonly PortRule[];
}

/**
 * Compiles a parsed policy. Grants as `parseGrants` gives them.
 *
 * A policy that parsed with some grants compiles with these and with none. With others it can need too many rules: a
 * caller who follows a change of grants then compiles with none, which closes the private part and nothing else.
 *
 * @param field names the whole value in errors.
 * @throws PolicyError where policy or grants are not canonical data, and where the rules are more than `MAX_PORT_RULES`.
 */
export function compile(policy: NetworkPolicy, grants: readonly string[], field = "network"): NetworkRules {
  if (policy === "open" || policy === "blocked") {
    return { mode: policy, allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] };
  }
  const entries = policy.allow.map((entry, index) => parseEntry(entry, `${field}.allow[${index}]`));
  const granted = grants.map((grant, index) => parseCidr(grant, `grants[${index}]`));
  return compileEntries(entries, granted, field);
}

/** The same for entries that are parsed already. */
export function compileEntries(entries: readonly Entry[], granted: readonly Cidr[], field: string): NetworkRules {
  const four = compileFamily(4, entries, granted);
  const six = compileFamily(6, entries, granted);
  return {
    mode: "allow",
    allow4: texts(4, four.open),
    allow6: texts(6, six.open),
    granted4: texts(4, four.granted),
    granted6: texts(6, six.granted),
    portRules: portRulesOf([...four.parts, ...six.parts], `${field}.allow`),
  };
}

interface FamilyRules {
  readonly open: readonly Range[];
  readonly granted: readonly Range[];
  readonly parts: readonly PortSpace[];
}

function compileFamily(family: Family, all: readonly Entry[], grants: readonly Cidr[]): FamilyRules {
  const ofFamily = all.filter(({ cidr }) => cidr.family === family);
  const publicSpace = OPEN_SPACE[family];
  const privateSpace = intersectRanges(REACHABLE[family], PRIVATE_RANGES[family]);
  // Only entries that lie whole inside the grants count: an entry that is wider does not contain private space.
  const grantRanges = rangesOf(family, grants);
  const inside = ofFamily.filter(({ cidr }) => subtractRanges([rangeOf(cidr)], grantRanges).length === 0);

  const open = intersectRanges(wholeOf(family, ofFamily), publicSpace);
  const granted = intersectRanges(wholeOf(family, inside), privateSpace);
  return {
    open,
    granted,
    parts: [
      { family, entries: partsOf(ofFamily), within: subtractRanges(publicSpace, open), granted: false },
      { family, entries: partsOf(inside), within: subtractRanges(privateSpace, granted), granted: true },
    ],
  };
}

/** What the entries allow with every protocol. */
function wholeOf(family: Family, entries: readonly Entry[]): Range[] {
  return rangesOf(
    family,
    entries.filter(({ only }) => only === undefined).map(({ cidr }) => cidr),
  );
}

function partsOf(entries: readonly Entry[]): PartEntry[] {
  return entries.flatMap(({ cidr, only }) => (only === undefined ? [] : [{ cidr, only }]));
}

function texts(family: Family, ranges: readonly Range[]): string[] {
  return cidrsOf(family, ranges).map(formatCidr);
}
