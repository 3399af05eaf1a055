// Whether a change of rules takes anything away: only then are there connections to cut.

import { parseAddress } from "./address.ts";
import { parseCidr } from "./cidr.ts";
import { type NetworkRules, OPEN_SPACE } from "./compile.ts";
import { PolicyError, quote } from "./errors.ts";
import type { PortRule } from "./port-rules.ts";
import { intersectRanges, type Range, rangesOf, subtractRanges } from "./ranges.ts";

/**
 * Whether some destination that `before` lets through is none for `after`. Both as `compile` gives them: their port
 * rules are disjoint. Protocols that no rule can name count, so rules for TCP, UDP and ICMP are less than the CIDR.
 *
 * Addresses of the platform's own machines are not in these rules: who takes one more of them into the never-reachable
 * set has tightened every policy.
 *
 * @throws PolicyError where a CIDR or address in them is none.
 */
export function tightens(before: NetworkRules, after: NetworkRules): boolean {
  return ([4, 6] as const).some((family) => {
    const whole = wholeSpace(after, family);
    if (subtractRanges(wholeSpace(before, family), whole).length > 0) return true;
    const boxes = boxesOf(after, family);
    return boxesOf(before, family).some((box) => isLost(box, whole, boxes));
  });
}

/** Addresses of which every protocol is let through. */
function wholeSpace(rules: NetworkRules, family: 4 | 6): readonly Range[] {
  if (rules.mode === "open") return OPEN_SPACE[family];
  const lists = family === 4 ? [rules.allow4, rules.granted4] : [rules.allow6, rules.granted6];
  return rangesOf(
    family,
    lists.flat().map((text) => parseCidr(text, "rules")),
  );
}

interface Box extends Range {
  readonly rule: PortRule;
}

function boxesOf(rules: NetworkRules, family: 4 | 6): Box[] {
  return rules.portRules
    .filter((rule) => rule.family === family)
    .map((rule) => ({ first: addressValue(rule.first), last: addressValue(rule.last), rule }));
}

function addressValue(text: string): bigint {
  const address = parseAddress(text);
  if (address === undefined) throw new PolicyError(`${quote(text)} is not an IP address`, { field: "rules.portRules" });
  return address.value;
}

/**
 * Whether any of a box is in none of the new boxes. These are disjoint, so what they hold of it adds up: to all of it, or
 * something is lost.
 */
function isLost(box: Box, whole: readonly Range[], boxes: readonly Box[]): boolean {
  const rest = subtractRanges([box], whole);
  const near = boxes.filter(
    (other) => other.first <= box.last && box.first <= other.last && portsInBoth(box, other) > 0n,
  );
  const held = near.map((other) => portsInBoth(box, other) * addressesIn(intersectRanges(rest, [other])));
  return held.reduce((sum, count) => sum + count, 0n) < portsInBoth(box, box) * addressesIn(rest);
}

function portsInBoth({ rule: left }: Box, { rule: right }: Box): bigint {
  if (left.protocol !== right.protocol) return 0n;
  const count = Math.min(left.toPort, right.toPort) - Math.max(left.fromPort, right.fromPort) + 1;
  return BigInt(Math.max(count, 0));
}

function addressesIn(ranges: readonly Range[]): bigint {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
}
