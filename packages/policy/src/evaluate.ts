// Says for one address what the kernel does with it, and why. Written from the law, not from the compiler, so that the
// two can be held against each other.

import { formatAddress, type IpAddress, parseAddress } from "./address.ts";
import { type Cidr, cidrContains, formatCidr, parseCidr } from "./cidr.ts";
import { PolicyError, quote } from "./errors.ts";
import type { NetworkPolicy } from "./parse.ts";
import { rangesOf, subtractRanges } from "./ranges.ts";
import { NEVER_ENTRIES, PRIVATE_ENTRIES, type ReservedEntry } from "./reserved.ts";

export interface Evaluation {
  readonly allowed: boolean;
  /** The rule that decided: `never <cidr>`, `private <cidr>`, `grant <cidr>`, `allow <cidr>`, `open`, `blocked`, `unlisted`. */
  readonly rule: string;
  /** One sentence for people. */
  readonly why: string;
}

/**
 * Whether a sandbox with this policy may open a connection to an address. Addresses of the machine and of the platform
 * are known to the worker alone: it refuses them beyond what is said here.
 *
 * @throws PolicyError where `address` is no address, with the field `address`.
 */
export function evaluate(policy: NetworkPolicy, grants: readonly string[], address: string): Evaluation {
  const target = parseAddress(address);
  if (target === undefined) throw new PolicyError(`${quote(address)} is not an IP address`, { field: "address" });
  const host: Cidr = { family: target.family, first: target.value, prefix: target.family === 4 ? 32 : 128 };
  const text = formatAddress(target);

  const never = rowOf(NEVER_ENTRIES, host);
  if (never !== undefined) return deny(`never ${never.cidr}`, `${text} is never reachable: ${never.reason}`);
  if (policy === "blocked") return deny("blocked", "the policy lets nothing out");
  const inside = rowOf(PRIVATE_ENTRIES, host);
  if (policy === "open") {
    if (inside === undefined) return { allowed: true, rule: "open", why: `${text} is a public address` };
    return deny(`private ${inside.cidr}`, `${text} is private, and open does not reach private networks`);
  }
  const entries = policy.allow
    .flatMap((entry) => (typeof entry === "string" ? [parseCidr(entry)] : []))
    .filter((entry) => cidrContains(entry, host));
  if (inside === undefined) {
    const entry = entries[0];
    if (entry === undefined) return deny("unlisted", `no entry of the allow list contains ${text}`);
    return { allowed: true, rule: `allow ${formatCidr(entry)}`, why: `the allow list contains ${text}` };
  }
  return evaluatePrivate(entries, grants, inside, target);
}

function evaluatePrivate(
  entries: readonly Cidr[],
  grants: readonly string[],
  inside: ReservedEntry,
  target: IpAddress,
): Evaluation {
  const granted = rangesOf(
    target.family,
    grants.map((grant) => parseCidr(grant)),
  );
  const entry = entries.find((candidate) => subtractRanges(rangesOf(target.family, [candidate]), granted).length === 0);
  const text = formatAddress(target);
  if (entry !== undefined) {
    return { allowed: true, rule: `grant ${formatCidr(entry)}`, why: `${text} is private, allow-listed and granted` };
  }
  const missing =
    entries.length === 0 ? "and no entry of the allow list contains it" : "and no entry that contains it is granted";
  return deny(`private ${inside.cidr}`, `${text} is private, ${missing}`);
}

function rowOf(entries: readonly ReservedEntry[], host: Cidr): ReservedEntry | undefined {
  return entries.find((entry) => cidrContains(entry.parsed, host));
}

function deny(rule: string, why: string): Evaluation {
  return { allowed: false, rule, why };
}
