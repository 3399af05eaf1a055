// Policy and grants → rule data. The security decision ends here; a worker only writes it down as kernel rules.

import type { Family } from "./address.ts";
import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";
import type { NetworkPolicy } from "./parse.ts";
import { cidrsOf, type Range, rangesOf, subtractRanges } from "./ranges.ts";
import { NEVER_RANGES, PRIVATE_RANGES } from "./reserved.ts";

/**
 * What a worker loads for one sandbox. Lists are canonical, sorted, disjoint, and never touch each other or
 * never-reachable space. `allow*` holds public space only, `granted*` private space only; both are empty unless the
 * mode is `allow`, so `allow` with four empty lists reaches nothing.
 */
export interface NetworkRules {
  readonly mode: "open" | "blocked" | "allow";
  readonly allow4: readonly string[];
  readonly allow6: readonly string[];
  readonly granted4: readonly string[];
  readonly granted6: readonly string[];
}

/** Compiles a parsed policy. Grants as `parseGrants` gives them. Throws PolicyError where either is not canonical data. */
export function compile(policy: NetworkPolicy, grants: readonly string[]): NetworkRules {
  if (policy === "open" || policy === "blocked")
    return { mode: policy, allow4: [], allow6: [], granted4: [], granted6: [] };
  const entries = policy.allow.map((entry) => parseCidr(entry));
  const granted = grants.map((grant) => parseCidr(grant));
  return {
    mode: "allow",
    allow4: publicPart(4, entries),
    allow6: publicPart(6, entries),
    granted4: grantedPart(4, entries, granted),
    granted6: grantedPart(6, entries, granted),
  };
}

function publicPart(family: Family, entries: readonly Cidr[]): string[] {
  const reachable = subtractRanges(rangesOf(family, entries), NEVER_RANGES[family]);
  return texts(family, subtractRanges(reachable, PRIVATE_RANGES[family]));
}

/** Only entries that lie whole inside the grants count: an entry that is wider does not contain private space. */
function grantedPart(family: Family, entries: readonly Cidr[], granted: readonly Cidr[]): string[] {
  const grants = rangesOf(family, granted);
  const inside = entries.filter((entry) => subtractRanges(rangesOf(family, [entry]), grants).length === 0);
  return texts(
    family,
    intersect(subtractRanges(rangesOf(family, inside), NEVER_RANGES[family]), PRIVATE_RANGES[family]),
  );
}

function intersect(left: readonly Range[], right: readonly Range[]): Range[] {
  return subtractRanges(left, subtractRanges(left, right));
}

function texts(family: Family, ranges: readonly Range[]): string[] {
  return cidrsOf(family, ranges).map(formatCidr);
}
