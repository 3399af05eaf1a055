// Says for one destination what the kernel does with it, and why, in words.

import { formatAddress } from "./address.ts";
import { formatCidr } from "./cidr.ts";
import { type Allowed, type Decision, decide, type Part, type Unlisted } from "./decide.ts";
import { type Destination, type Target, targetOf, targetText } from "./destination.ts";
import type { NetworkPolicy } from "./parse.ts";
import { isEveryPort } from "./ports.ts";

export interface Evaluation {
  /**
   * Whether anything that the destination names gets through; false means that nothing does. A destination with a
   * protocol and, but for ICMP, a port gets through as a whole or not at all.
   */
  readonly allowed: boolean;
  /**
   * The rule that decided: `never <cidr>`, `never host`, `private <cidr>`, `grant <cidr>`, `allow <cidr>`, `open`,
   * `blocked`, `unlisted`. A CIDR after `allow` or `grant` is that of the first entry of the list that lets it all
   * through, or of the first that lets any of it through.
   */
  readonly rule: string;
  /** One sentence for people. */
  readonly why: string;
  /** What gets through where that is not all that the destination names: `TCP 80, 443; ICMP`. */
  readonly only?: string;
}

export interface EvaluateOptions {
  /**
   * Addresses or CIDRs of the machines that run the platform, which no sandbox reaches (`never host`). Default: none,
   * for who does not know them.
   */
  readonly ownAddresses?: readonly string[] | undefined;
}

/**
 * Whether a sandbox with this policy may send to a destination: a text as `parseDestination` takes it, or its answer.
 *
 * @throws PolicyError with the field `destination` where it is none.
 */
export function evaluate(
  policy: NetworkPolicy,
  grants: readonly string[],
  destination: string | Destination,
  options: EvaluateOptions = {},
): Evaluation {
  const target = targetOf(destination, "destination");
  return wordsOf(decide(policy, grants, target, options.ownAddresses ?? []), target);
}

/** A decision for people. */
export function wordsOf(decision: Decision, target: Target): Evaluation {
  const address = formatAddress(target.address);
  const asked = targetText(target);
  switch (decision.kind) {
    case "never":
      return deny(`never ${decision.row.cidr}`, `${address} is never reachable: ${decision.row.reason}`);
    case "host":
      return deny("never host", `${address} is never reachable: it belongs to a machine of the platform`);
    case "blocked":
      return deny("blocked", "the policy lets nothing out");
    case "closed":
      return deny(`private ${decision.row.cidr}`, `${address} is private, and open does not reach private networks`);
    case "open":
      return { allowed: true, rule: "open", why: `${address} is a public address` };
    case "allowed":
      return allowedWords(decision, address, asked);
    case "unlisted":
      return unlistedWords(decision, address, asked);
  }
}

function allowedWords({ entry, row, only }: Allowed, address: string, asked: string): Evaluation {
  const rule = `${row === undefined ? "allow" : "grant"} ${formatCidr(entry.cidr)}`;
  const contains = row === undefined ? "the allow list contains" : "the allow list and the operator's grants contain";
  if (only === undefined) return { allowed: true, rule, why: `${contains} ${asked}` };
  const words = partWords(only);
  return { allowed: true, rule, why: `${contains} ${address}, but only for ${words}`, only: words };
}

function unlistedWords({ row, around }: Unlisted, address: string, asked: string): Evaluation {
  const some = around.parts.length > 0 ? `${address} is allowed only for ${partWords(around.parts)}` : undefined;
  if (row === undefined) return deny("unlisted", some ?? `no entry of the allow list contains ${asked}`);
  const missing =
    around.listed.length === 0
      ? "and no entry of the allow list contains it"
      : "and no entry that contains it is granted";
  return deny(`private ${row.cidr}`, some ?? `${address} is private, ${missing}`);
}

function deny(rule: string, why: string): Evaluation {
  return { allowed: false, rule, why };
}

/** Most ranges that a sentence names. */
const SHOWN_RANGES = 8;

/** `TCP 80, 443, 8000-8100; UDP; ICMP`, cut after a few ranges. */
function partWords(parts: readonly Part[]): string {
  return parts
    .map(({ protocol, ports }) => {
      const name = protocol.toUpperCase();
      if (protocol === "icmp" || isEveryPort(ports)) return name;
      const shown = ports
        .slice(0, SHOWN_RANGES)
        .map(({ first, last }) => (first === last ? first : `${first}-${last}`));
      const more = ports.length > SHOWN_RANGES ? ` and ${ports.length - SHOWN_RANGES} more` : "";
      return `${name} ${shown.join(", ")}${more}`;
    })
    .join("; ");
}
