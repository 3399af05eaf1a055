// The answer of evaluate with what would change it.

import { formatCidr } from "./cidr.ts";
import { type Allowed, type Decision, decide, type Placed, type Unlisted } from "./decide.ts";
import { type Destination, hostOf, type Target, targetOf } from "./destination.ts";
import { type EvaluateOptions, type Evaluation, wordsOf } from "./evaluate.ts";
import type { NetworkPolicy } from "./parse.ts";

export interface Explanation extends Evaluation {
  /** What would change it, as one sentence part for people; empty where nothing can. */
  readonly hint: string;
}

/**
 * As `evaluate`, with a hint: what to add to the policy, what to ask the operator for, or what to take out.
 *
 * Who knows that a packet was denied, and under which mode, but not the policy, asks with `{ allow: [] }` for an allow
 * list and without grants: rule and hint are then right, only less exact.
 */
export function explain(
  policy: NetworkPolicy,
  grants: readonly string[],
  destination: string | Destination,
  options: EvaluateOptions = {},
): Explanation {
  const target = targetOf(destination, "destination");
  const decision = decide(policy, grants, target, options.ownAddresses ?? []);
  return { ...wordsOf(decision, target), hint: hintOf(decision, target) };
}

function hintOf(decision: Decision, target: Target): string {
  switch (decision.kind) {
    case "never":
      return decision.row.hidesIpv4 === true ? "use the IPv4 address itself, not an IPv6 form of it" : "";
    case "host":
      return "";
    case "blocked":
      return decision.row === undefined
        ? `to open it, use the policy "open" or ${policyText(target)}`
        : grantHint(target);
    case "open":
      return 'to close it, use the policy "blocked" or an allow list without it';
    case "closed":
      return grantHint(target);
    case "allowed":
      return allowedHint(decision, target);
    case "unlisted":
      return unlistedHint(decision, target);
  }
}

function allowedHint({ by, only }: Allowed, target: Target): string {
  if (only !== undefined) return `to open the rest, add ${entryText(target)} to the allow list`;
  return `to close it, take ${fieldsOf(by)} out or make it narrower`;
}

function unlistedHint({ row, around }: Unlisted, target: Target): string {
  const add = `add ${entryText(target)} to the allow list`;
  if (row === undefined) return add;
  // Entries inside the grants say what they let through, and that is not enough: one more entry is.
  if (around.parts.length > 0) return add;
  const inside = "an entry counts for private addresses only where all of it is granted";
  if (around.granted) return around.listed.length === 0 ? add : `${add}: ${inside}`;
  const entry = around.fitting.find(({ cidr }) => row.parsed.prefix <= cidr.prefix);
  if (entry !== undefined) return `ask the operator to grant "${formatCidr(entry.cidr)}" to the workspace: ${inside}`;
  return `ask the operator to grant ${cidrText(target)} to the workspace, and ${add}`;
}

/** Most entries that a hint names. */
const SHOWN_ENTRIES = 4;

function fieldsOf(entries: readonly Placed[]): string {
  const shown = entries
    .slice(0, SHOWN_ENTRIES)
    .map(({ index, cidr }) => `network.allow[${index}] (${formatCidr(cidr)})`);
  const more = entries.length > SHOWN_ENTRIES ? ` and ${entries.length - SHOWN_ENTRIES} more entries` : "";
  return `${shown.join(", ")}${more}`;
}

function grantHint(target: Target): string {
  return `ask the operator to grant ${cidrText(target)} to the workspace, and use the policy ${policyText(target)}`;
}

function policyText(target: Target): string {
  return `{ allow: [${entryText(target)}] }`;
}

function cidrText(target: Target): string {
  return `"${formatCidr(hostOf(target))}"`;
}

/** The narrowest entry that lets all that is asked through, as a caller would write it. */
function entryText(target: Target): string {
  const { protocol, port } = target;
  if (protocol === undefined) return cidrText(target);
  const ports = port === undefined ? "" : `, ports: [${port}]`;
  return `{ cidr: ${cidrText(target)}, protocol: "${protocol}"${ports} }`;
}
