// What the properties are tried on: prefixes around the reserved rows, rules that nest and overlap, packets at the edges.

import fc from "fast-check";
import {
  type Bits,
  covered,
  type Mode,
  never,
  type OracleEntry,
  type Packet,
  privates,
  read,
  unique,
  width,
} from "./oracle.ts";

export const bitString = (length: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom("0", "1"), { minLength: length, maxLength: length }).map((bits) => bits.join(""));

export const family: fc.Arbitrary<4 | 6> = fc.constantFrom<4 | 6>(4, 6);

const anywhere: fc.Arbitrary<Bits> = family.chain((kind) =>
  fc.integer({ min: 0, max: width(kind) }).chain((length) => bitString(length).map((bits) => ({ family: kind, bits }))),
);

/** A prefix and up to so many bits more. */
const inside = ({ family: kind, bits }: Bits, more: number): fc.Arbitrary<Bits> =>
  fc
    .integer({ min: 0, max: Math.min(more, width(kind) - bits.length) })
    .chain((length) => bitString(length).map((tail) => ({ family: kind, bits: bits + tail })));

/** Prefixes around the rows of a table: the row, its parents, its children, its neighbours. */
const near = (rows: readonly Bits[]): fc.Arbitrary<Bits> =>
  fc.constantFrom(...rows).chain((row) =>
    fc.oneof(
      fc.integer({ min: 0, max: row.bits.length }).map((length) => ({ ...row, bits: row.bits.slice(0, length) })),
      inside(row, 128),
      fc.integer({ min: 1, max: row.bits.length }).map((length) => ({
        ...row,
        bits: row.bits.slice(0, length - 1) + (row.bits[length - 1] === "0" ? "1" : "0"),
      })),
    ),
  );

export const prefix: fc.Arbitrary<Bits> = fc.oneof(anywhere, near(never), near(privates));

/** What an operator may grant. */
export const grant: fc.Arbitrary<Bits> = fc
  .oneof(
    fc.constantFrom(...privates).chain((row) => inside(row, 20)),
    inside(read("10.1.0.0/16"), 3),
  )
  .filter((value) => !covered(value, never));

/** Few places, so that entries meet: equal, nested, neighbours. */
const crowded: fc.Arbitrary<Bits> = fc
  .constantFrom(...["198.51.100.0/24", "10.1.0.0/16", "2001:db8::/32", "fd00:1::/32"].map(read))
  .chain((base) => inside(base, 4));

const portNumber = fc.oneof(
  fc.constantFrom(1, 2, 79, 80, 81, 82, 443, 65_534, 65_535),
  fc.integer({ min: 1, max: 65_535 }),
);
const portRange = fc
  .tuple(portNumber, fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.constant(65_535)))
  .map(([from, length]): readonly [number, number] => [from, Math.min(from + length, 65_535)]);
const ports = fc.array(portRange, { minLength: 1, maxLength: 5 });
const service: fc.Arbitrary<Pick<OracleEntry, "protocol" | "ports">> = fc.oneof(
  fc.constantFrom({}, { protocol: "icmp" as const }, { protocol: "tcp" as const }, { protocol: "udp" as const }),
  fc.record({ protocol: fc.constantFrom("tcp" as const, "udp" as const, undefined), ports }),
);

const entry: fc.Arbitrary<OracleEntry> = fc
  .tuple(fc.oneof({ weight: 2, arbitrary: crowded }, prefix, grant), service)
  .map(([at, only]) => ({ at, ...only }));

export interface Scene {
  readonly mode: Mode;
  readonly entries: readonly OracleEntry[];
  readonly grants: readonly Bits[];
}

/** A policy and the grants of its workspace. Nothing keeps entries from being useless or there twice. */
export const scene: fc.Arbitrary<Scene> = fc.record({
  mode: fc.constantFrom<Mode>("open", "blocked", "allow", "allow", "allow", "allow"),
  entries: fc.array(entry, { maxLength: 8 }),
  grants: fc.array(grant, { maxLength: 4 }).map(unique),
});

const end = (value: Bits, fill: string): Bits => ({ ...value, bits: value.bits.padEnd(width(value.family), fill) });

function step(value: Bits, by: bigint): Bits {
  const modulus = 1n << BigInt(width(value.family));
  const moved = (BigInt(`0b${value.bits}`) + by + modulus) % modulus;
  return { ...value, bits: moved.toString(2).padStart(width(value.family), "0") };
}

/** First and last address of a prefix, and the addresses beside it. */
export const edgesOf = (value: Bits): Bits[] => [
  end(value, "0"),
  end(value, "1"),
  step(end(value, "0"), -1n),
  step(end(value, "1"), 1n),
];

/** Addresses inside, at the ends of, and beside the prefixes in play. */
export const addressNear = (prefixes: readonly Bits[]): fc.Arbitrary<Bits> =>
  fc.constantFrom(...prefixes).chain((value) =>
    fc.oneof(
      fc.constantFrom(...edgesOf(value)),
      bitString(width(value.family) - value.bits.length).map((tail) => ({ ...value, bits: value.bits + tail })),
    ),
  );

/** Ports at the ends of those in play, and beside them. */
export const portsNear = (entries: readonly OracleEntry[]): number[] => {
  const edges = entries.flatMap((each) => (each.ports ?? []).flatMap(([from, to]) => [from - 1, from, to, to + 1]));
  return [...new Set([1, 65_535, ...edges])].filter((port) => port >= 1 && port <= 65_535);
};

/** Packets near the entries, the grants and the reserved rows of a scene. */
export const packetNear = ({ entries, grants }: Scene): fc.Arbitrary<Packet> => {
  const named = [...entries.map(({ at }) => at), ...grants];
  const reserved = [...never, ...privates];
  const places = named.length === 0 ? reserved : named;
  const address = fc.oneof({ weight: 3, arbitrary: addressNear(places) }, addressNear(reserved));
  const port = fc.constantFrom(...portsNear(entries));
  const protocol = fc.constantFrom("tcp" as const, "udp" as const, "icmp" as const, "sctp" as const);
  return fc.record({ address, protocol, port }).map((packet) => ({
    ...packet,
    port: packet.protocol === "tcp" || packet.protocol === "udp" ? packet.port : 0,
  }));
};
