// Policies and destinations that try them: prefixes around what is reserved, private and listed, ports at the edges.

import {
  type AllowRule,
  formatAddress,
  formatCidr,
  lastAddress,
  NEVER_REACHABLE,
  type NetworkPolicy,
  PolicyError,
  PRIVATE,
  type Protocol,
  parseAddress,
  parseCidr,
  parseGrants,
  parsePolicy,
} from "@sallyport/policy";
import fc from "fast-check";

export interface Probe {
  readonly address: string;
  readonly protocol: Protocol;
  /** Of TCP and UDP. */
  readonly port?: number;
}

/** A policy with the grants of its workspace, and where a sandbox then tries to get. */
export interface Scene {
  readonly policy: NetworkPolicy;
  readonly grants: readonly string[];
  readonly probes: readonly Probe[];
}

const PUBLIC = ["198.51.100.0/24", "8.0.0.0/6", "2001:db8::/32", "2600::/12"];
const PRIVATES = ["10.1.0.0/16", "172.16.0.0/12", "192.168.7.0/24", "fd77::/32", "fc00::/7"];
const WIDE = ["0.0.0.0/0", "::/0", "100.0.0.0/8", "169.0.0.0/8", "2000::/3", "fd20::/16"];
const RESERVED = [...NEVER_REACHABLE, ...PRIVATE].map((row) => row.cidr);
const PORTS = [1, 22, 53, 80, 443, 8080, 65_535];

const width = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** The prefix itself, or one inside of it by up to so many bits more. */
function within(cidr: string, more: number): fc.Arbitrary<string> {
  const { family, first, prefix } = parseCidr(cidr);
  return fc.integer({ min: 0, max: Math.min(more, width(family) - prefix) }).chain((bits) =>
    fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }).map((value) => {
      const shift = BigInt(width(family) - prefix - bits);
      return formatCidr({ family, first: first | (value << shift), prefix: prefix + bits });
    }),
  );
}

const cidr = (bases: readonly string[]): fc.Arbitrary<string> =>
  fc.constantFrom(...bases).chain((base) => within(base, 4));

const port = fc.oneof(fc.constantFrom(...PORTS), fc.integer({ min: 1, max: 65_535 }));
const ports = fc.array(
  fc.oneof(
    port,
    fc
      .tuple(port, fc.integer({ min: 0, max: 300 }))
      .map(([from, more]): [number, number] => [from, Math.min(from + more, 65_535)]),
  ),
  { minLength: 1, maxLength: 3 },
);

const entry: fc.Arbitrary<string | AllowRule> = cidr([...PUBLIC, ...PUBLIC, ...PRIVATES, ...PRIVATES, ...WIDE]).chain(
  (at) =>
    fc.oneof(
      fc.constant(at),
      fc.record({ cidr: fc.constant(at), protocol: fc.constantFrom("tcp", "udp", "icmp") }),
      fc.record({ cidr: fc.constant(at), protocol: fc.constantFrom("tcp", "udp"), ports }),
      fc.record({ cidr: fc.constant(at), ports }),
    ),
);

const grants = fc
  .array(cidr(PRIVATES), { maxLength: 3 })
  .map((all) => accepted(all, (list) => parseGrants(list)) ?? []);

/** What is left of a list when entries that cannot be had are left out. */
function accepted<T, R>(all: readonly T[], parse: (list: readonly T[]) => R): R | undefined {
  let list: readonly T[] = [];
  let result: R | undefined;
  for (const one of all) {
    try {
      result = parse([...list, one]);
      list = [...list, one];
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
    }
  }
  return result;
}

/** First and last address of a prefix, those beside it, and some inside. */
function near(text: string): fc.Arbitrary<string> {
  const parsed = parseCidr(text);
  const { family, first } = parsed;
  const last = lastAddress(parsed);
  const largest = (1n << BigInt(width(family))) - 1n;
  const address = (value: bigint): string => formatAddress({ family, value });
  const edges = [first, first - 1n, last, last + 1n].filter((value) => value >= 0n && value <= largest);
  return fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: first, max: last })).map(address);
}

const cidrsOf = (policy: NetworkPolicy): string[] =>
  typeof policy === "string" ? [] : policy.allow.map((one) => (typeof one === "string" ? one : one.cidr));

function portsOf(policy: NetworkPolicy): number[] {
  const rules = typeof policy === "string" ? [] : policy.allow.filter((one) => typeof one !== "string");
  const edges = rules
    .flatMap((rule) => rule.ports ?? [])
    .flatMap((one) => (typeof one === "number" ? [one - 1, one, one + 1] : [one[0] - 1, one[0], one[1], one[1] + 1]));
  return [...PORTS, ...edges].filter((one) => one >= 1 && one <= 65_535);
}

const service = (protocols: readonly Protocol[], at: readonly number[]): fc.Arbitrary<Omit<Probe, "address">> =>
  fc
    .tuple(fc.constantFrom(...protocols), fc.constantFrom(...at))
    .map(([protocol, one]) => (protocol === "icmp" ? { protocol } : { protocol, port: one }));

/** Into an entry, or just beside it, by what it lets through or nearly does. */
function aimed(one: string | AllowRule): fc.Arbitrary<Probe> {
  const rule: AllowRule = typeof one === "string" ? { cidr: one } : one;
  const listed = portsOf({ allow: [rule] }).slice(PORTS.length);
  const protocols: Protocol[] = rule.protocol === undefined ? ["tcp", "udp"] : [rule.protocol];
  return fc
    .tuple(near(rule.cidr), service(protocols, listed.length > 0 ? listed : PORTS))
    .map(([address, what]) => ({ address, ...what }));
}

function probe(policy: NetworkPolicy, granted: readonly string[], own: readonly string[]): fc.Arbitrary<Probe> {
  const listed = cidrsOf(policy);
  const address = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...(listed.length > 0 ? listed : PUBLIC)).chain(near) },
    { weight: 2, arbitrary: fc.constantFrom(...RESERVED).chain(near) },
    { weight: 1, arbitrary: fc.constantFrom(...PUBLIC, ...granted).chain(near) },
    { weight: 1, arbitrary: fc.constantFrom(...own) },
  );
  const anywhere = fc
    .tuple(address, service(["tcp", "tcp", "udp", "udp", "icmp"], portsOf(policy)))
    .map(([at, what]) => ({ address: at, ...what }));
  if (typeof policy === "string" || policy.allow.length === 0) return anywhere;
  return fc.oneof(anywhere, fc.constantFrom(...policy.allow).chain(aimed));
}

const policyWith = (granted: readonly string[]): fc.Arbitrary<NetworkPolicy> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom<NetworkPolicy>("open", "blocked") },
    {
      weight: 9,
      arbitrary: fc
        .array(entry, { minLength: 1, maxLength: 8 })
        .map((all) => accepted(all, (allow) => parsePolicy({ allow }, { grants: granted })) ?? { allow: [] }),
    },
  );

/** As many scenes, always the same for one seed. `own` are addresses that belong to the machines. */
export function scenes(options: { count: number; probes: number; seed: number; own: readonly string[] }): Scene[] {
  const { count, probes, seed, own } = options;
  const scene = grants.chain((granted) =>
    policyWith(granted).chain((policy) =>
      fc
        .array(probe(policy, granted, own), { minLength: probes, maxLength: probes })
        .map((all): Scene => ({ policy, grants: granted, probes: all })),
    ),
  );
  return fc.sample(scene, { numRuns: count, seed });
}

/** For people, and for telling probes apart. */
export const probeName = ({ address, protocol, port: at }: Probe): string => {
  const host = parseAddress(address)?.family === 6 ? `[${address}]` : address;
  return `${protocol}://${host}${at === undefined ? "" : `:${at}`}`;
};
