// Unknown input → a network policy that the rest of the house may trust, or an error that names the entry.

import { type Cidr, formatCidr, lastAddress, parseCidr } from "./cidr.ts";
import { compileEntries } from "./compile.ts";
import { type AllowRule, cidrField, entryKey, formatEntry, parseEntry } from "./entry.ts";
import { PolicyError, quote } from "./errors.ts";
import { type Range, rangeOf, rangesOf, subtractRanges } from "./ranges.ts";
import { NEVER_ENTRIES, NEVER_RANGES, PRIVATE_RANGES, type ReservedEntry } from "./reserved.ts";

/**
 * What a sandbox may reach. An empty list reaches nothing. Entries of a parsed policy are canonical: a rule that allows
 * everything is the text of its CIDR, ports are sorted and joined.
 */
export type NetworkPolicy = "open" | "blocked" | { readonly allow: readonly (string | AllowRule)[] };

/** Most entries an allow list, or a list of grants, may have. */
export const MAX_ALLOW_ENTRIES = 256;

export interface ParsePolicyOptions {
  /** Private CIDRs that the operator granted this workspace, as `parseGrants` gives them. Default: none. */
  readonly grants?: readonly string[];
  /** Name of the whole value in errors. Default `network`. */
  readonly field?: string;
}

/**
 * Parses a policy from outside. `undefined` is open; `{ allow: [] }` reaches nothing.
 *
 * @throws PolicyError for an unknown mode or key, a list that is too long or compiles to too many rules, and an entry
 * that is no strict CIDR or allow rule, is there twice, lies wholly in never-reachable space, or wholly in private space
 * outside the grants. The field is that of the wrong part, such as `network.allow[3].ports[1]`.
 */
export function parsePolicy(input: unknown, options: ParsePolicyOptions = {}): NetworkPolicy {
  const field = options.field ?? "network";
  if (input === undefined || input === "open") return "open";
  if (input === "blocked") return "blocked";
  const allow = allowListOf(input, field);
  const granted = (options.grants ?? []).map((grant) => parseCidr(grant, "grants"));
  const entries = parseList(allow, `${field}.allow`, parseEntry, entryKey);
  entries.forEach((entry, index) => {
    assertReachable(entry.cidr, granted, cidrField(allow[index], `${field}.allow[${index}]`));
  });
  // What is accepted here can be enforced.
  compileEntries(entries, granted, field);
  return Object.freeze({ allow: Object.freeze(entries.map(formatEntry)) });
}

function allowListOf(input: unknown, field: string): readonly unknown[] {
  const hint = 'use "open", "blocked" or { allow: [CIDR or { cidr, protocol, ports }, …] }';
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new PolicyError(`${quote(input)} is not a network policy`, { field, hint });
  }
  const unknown = Object.keys(input).find((key) => key !== "allow");
  if (unknown !== undefined)
    throw new PolicyError(`${quote(unknown)} is not part of a network policy`, { field, hint });
  if (!("allow" in input) || !Array.isArray(input.allow)) {
    throw new PolicyError("needs a list of CIDRs and rules", { field: `${field}.allow`, hint });
  }
  return input.allow;
}

/**
 * Parses what an operator grants a workspace: private CIDRs, canonical in the answer.
 *
 * @throws PolicyError as for an allow list; a grant must lie wholly in private space, so that no grant of everything
 * turns an allow list of everything into one of the private networks.
 */
export function parseGrants(input: unknown, field = "grants"): readonly string[] {
  if (input === undefined) return [];
  if (!Array.isArray(input)) throw new PolicyError(`${quote(input)} is not a list of CIDRs`, { field });
  const entries = parseList(input, field, parseCidr, formatCidr);
  entries.forEach((entry, index) => {
    if (subtractRanges([rangeOf(entry)], PRIVATE_RANGES[entry.family]).length > 0) {
      throw new PolicyError(`${formatCidr(entry)} is not private space`, {
        field: `${field}[${index}]`,
        hint: "only private ranges need a grant; name them: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7 or a part",
      });
    }
    assertNotNever(entry, `${field}[${index}]`);
  });
  return Object.freeze(entries.map(formatCidr));
}

/** Parses each, and refuses a list that is too long or says the same twice, which `keyOf` tells. */
function parseList<T>(
  list: readonly unknown[],
  field: string,
  parse: (input: unknown, field: string) => T,
  keyOf: (entry: T) => string,
): T[] {
  if (list.length > MAX_ALLOW_ENTRIES) {
    throw new PolicyError(`has ${list.length} entries, at most ${MAX_ALLOW_ENTRIES} are allowed`, {
      field,
      hint: "join neighbouring CIDRs",
    });
  }
  const seen = new Map<string, number>();
  // Array.from visits holes, which map would skip: a hole is a bad entry.
  return Array.from(list, (input, index) => {
    const at = `${field}[${index}]`;
    const entry = parse(input, at);
    const earlier = seen.get(keyOf(entry));
    if (earlier !== undefined) {
      const shown = typeof input === "string" ? quote(input) : "the rule";
      throw new PolicyError(`${shown} is already there as ${field}[${earlier}]`, { field: at });
    }
    seen.set(keyOf(entry), index);
    return entry;
  });
}

function assertReachable(entry: Cidr, granted: readonly Cidr[], field: string): void {
  const rest = assertNotNever(entry, field);
  if (subtractRanges(rest, PRIVATE_RANGES[entry.family]).length > 0) return;
  if (subtractRanges([rangeOf(entry)], rangesOf(entry.family, granted)).length === 0) return;
  throw new PolicyError(`${formatCidr(entry)} is private and not granted to this workspace`, {
    field,
    hint: "the operator must grant a CIDR that contains it",
  });
}

/** What of the entry is outside never-reachable space; throws where nothing is. */
function assertNotNever(entry: Cidr, field: string): Range[] {
  const rest = subtractRanges([rangeOf(entry)], NEVER_RANGES[entry.family]);
  if (rest.length > 0) return rest;
  throw new PolicyError(`${formatCidr(entry)} can never be reached from a sandbox (${neverReason(entry)})`, {
    field,
    hint: "take the entry out",
  });
}

function neverReason(entry: Cidr): string {
  const covers = (row: ReservedEntry): boolean =>
    row.parsed.family === entry.family && row.parsed.first <= entry.first && entry.first <= lastAddress(row.parsed);
  return NEVER_ENTRIES.find(covers)?.reason ?? "reserved";
}
