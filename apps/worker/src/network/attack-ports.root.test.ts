// Packets that try to pass for what an allow list with ports lets through: by fragments, options, extension headers and
// protocols that look like others. With policy `open` each of them arrives, so that it is the list that stops them.

import type { NetworkPolicy } from "@sallyport/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Attack, Attacker } from "../../test/network/attacker.ts";
import {
  addressBytes,
  echo,
  extension,
  fragments,
  icmpProtocol,
  ipv4,
  ipv6,
  isIpv6,
  type Piece,
  PROTOCOL,
  packet,
  pieces,
  sctp,
  TCP,
  tcp,
  udp,
} from "../../test/network/packets.ts";
import { FAR, HOST, World } from "../../test/network/world.ts";

let world: World;
let attacker: Attacker;

beforeAll(async () => {
  world = await World.create();
  attacker = await Attacker.start(world);
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const LISTED = 443;
const OTHER = 22;
const HTTPS_ONLY: NetworkPolicy = {
  allow: [
    { cidr: "198.51.100.0/25", protocol: "tcp", ports: [LISTED] },
    { cidr: "2001:db8::/121", protocol: "tcp", ports: [LISTED] },
  ],
};
const AIMS = [FAR.listed4, FAR.listed6];

let sourcePort = 20_000;
let fragmentId = 5000;

const endsTo = (to: string): { from: string; to: string } => ({
  from: isIpv6(to) ? attacker.slot.ipv6 : attacker.slot.ipv4,
  to,
});

function segment(to: string, dport: number, text: Buffer): Buffer {
  sourcePort += 1;
  return tcp(endsTo(to), { sport: sourcePort, dport }, TCP.syn, text);
}

function datagram(to: string, dport: number, text: Buffer): Buffer {
  sourcePort += 1;
  return udp(endsTo(to), { sport: sourcePort, dport }, text);
}

function cut(to: string, parts: readonly Piece[]): Buffer[] {
  fragmentId += 1;
  return fragments(endsTo(to), PROTOCOL.tcp, fragmentId, parts);
}

/** What an eye that reads at a fixed place would take for the ports of a listed connection, inside of an option. */
const disguise = (optionLength: number): Buffer => {
  const option = Buffer.from([0x1e, optionLength, 0x11, 0x11, LISTED >> 8, LISTED & 255, 0, 0]);
  return Buffer.concat([option, option]);
};
/** The least that GRE needs: no flags, IPv4 inside. */
const GRE_HEADER = Buffer.from([0, 0, 8, 0]);

function evasions(to: string): Attack[] {
  const ends = endsTo(to);
  const attack = (name: string, packets: Attack["packets"]): Attack => ({ name: `${name} to ${to}`, packets });
  const single = (name: string, protocol: number, payload: (mark: Buffer) => Buffer): Attack =>
    attack(name, (mark) => [packet(ends, protocol, payload(mark))]);
  const spaced = (mark: Buffer): Buffer => Buffer.concat([Buffer.alloc(4), mark, Buffer.alloc(4)]);
  const common = [
    single("another port", PROTOCOL.tcp, (mark) => segment(to, OTHER, mark)),
    single("the port before", PROTOCOL.tcp, (mark) => segment(to, LISTED - 1, mark)),
    single("the port behind", PROTOCOL.tcp, (mark) => segment(to, LISTED + 1, mark)),
    single("the port as UDP", PROTOCOL.udp, (mark) => datagram(to, LISTED, mark)),
    single("the port as SCTP", PROTOCOL.sctp, (mark) => sctp({ sport: ++sourcePort, dport: LISTED }, mark)),
    single("the port in GRE", PROTOCOL.gre, (mark) => Buffer.concat([GRE_HEADER, segment(to, LISTED, mark)])),
    single("the port in IP in IP", PROTOCOL.ipip, (mark) =>
      ipv4({ ...endsTo(FAR.listed4), protocol: PROTOCOL.tcp, payload: segment(FAR.listed4, LISTED, mark) }),
    ),
    single("an echo", icmpProtocol(to), (mark) => echo(ends, 11, mark)),
    // Of IPv6 the kernel takes no first fragment without the whole TCP header.
    attack("small fragments", (mark) => cut(to, pieces(segment(to, OTHER, spaced(mark)), isIpv6(to) ? 24 : 8))),
    attack("fragments in reverse", (mark) =>
      cut(to, pieces(segment(to, OTHER, spaced(mark)), isIpv6(to) ? 24 : 8)).reverse(),
    ),
  ];
  return [...common, ...(isIpv6(to) ? headers(to, attack) : options(to, attack))];
}

type Name = (name: string, packets: Attack["packets"]) => Attack;

/** The listed port where a header without options would have it, the other behind them. */
function options(to: string, attack: Name): Attack[] {
  return [
    attack("options before the other port", (mark) => [
      ipv4({ ...endsTo(to), protocol: PROTOCOL.tcp, payload: segment(to, OTHER, mark), options: disguise(8) }),
    ]),
    attack("an authentication header before the port", (mark) => [
      packet(endsTo(to), PROTOCOL.authentication, Buffer.concat([authentication(), segment(to, LISTED, mark)])),
    ]),
  ];
}

/** Next header, length in words less two, index, sequence, a check value. */
const authentication = (): Buffer => Buffer.concat([Buffer.from([PROTOCOL.tcp, 4, 0, 0]), Buffer.alloc(20)]);

function headers(to: string, attack: Name): Attack[] {
  const by = (name: string, next: number, payload: (mark: Buffer) => Buffer): Attack =>
    attack(name, (mark) => [ipv6({ ...endsTo(to), next, payload: payload(mark) })]);
  const routing = Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0]), addressBytes(HOST.ipv6)]);
  const { tcp: TCP_NEXT, destination, hopByHop } = PROTOCOL;
  const other = (mark: Buffer): Buffer => segment(to, OTHER, mark);
  return [
    by("destination options before the other port", destination, (mark) =>
      Buffer.concat([extension(TCP_NEXT, disguise(6)), other(mark)]),
    ),
    by("hop-by-hop options before the other port", hopByHop, (mark) =>
      Buffer.concat([extension(TCP_NEXT, disguise(6)), other(mark)]),
    ),
    by("a routing header before the other port", PROTOCOL.routing, (mark) =>
      Buffer.concat([extension(TCP_NEXT, routing), other(mark)]),
    ),
    by("an authentication header before the other port", PROTOCOL.authentication, (mark) =>
      Buffer.concat([authentication(), other(mark)]),
    ),
    by("many headers before the other port", hopByHop, (mark) =>
      Buffer.concat([
        extension(destination),
        ...Array.from({ length: 6 }, () => extension(destination)),
        extension(TCP_NEXT),
        other(mark),
      ]),
    ),
  ];
}

/** Pieces that contradict each other or hide the port: the kernel throws all of them away, or the first stands. */
function contradictions(to: string): Attack[] {
  const [first, second] = [
    (mark: Buffer) => segment(to, LISTED, Buffer.concat([Buffer.alloc(4), mark])),
    (mark: Buffer) => segment(to, OTHER, Buffer.concat([Buffer.alloc(4), mark])),
  ];
  const piece = (bytes: Buffer, offset: number, more: boolean): Piece => ({ bytes, offset, more });
  return [
    {
      name: `a port written over by a later fragment to ${to}`,
      packets: (mark) =>
        cut(to, [
          piece(first(Buffer.alloc(8)).subarray(0, 16), 0, true),
          piece(second(mark).subarray(0, 16), 0, true),
          piece(second(mark).subarray(16), 16, false),
        ]),
    },
    {
      name: `a port written over by an earlier fragment to ${to}`,
      packets: (mark) =>
        cut(to, [
          piece(second(mark).subarray(8), 8, false),
          piece(first(Buffer.alloc(8)).subarray(0, 8), 0, true),
          piece(second(mark).subarray(0, 16), 0, true),
        ]),
    },
    {
      name: `tiny fragments to ${to}`,
      packets: (mark) => cut(to, pieces(second(mark), 8)),
    },
  ];
}

describe("an allow list with one port", () => {
  const all = (): Attack[] => AIMS.flatMap(evasions);
  const plain = (): Attack[] =>
    AIMS.map((to) => ({
      name: `the listed port of ${to}`,
      packets: (mark: Buffer) => [packet(endsTo(to), PROTOCOL.tcp, segment(to, LISTED, mark))],
    }));

  it("lets that port through, and nothing that is made to look like it", async () => {
    await attacker.setPolicy(HTTPS_ONLY);
    expect(await attacker.successes([...plain(), ...all()])).toEqual(plain().map(({ name }) => name));
  });

  it("is what stops them: an open slot sends them all", async () => {
    await attacker.setPolicy("open");
    expect(await attacker.successes(all())).toEqual(all().map(({ name }) => name));
  });

  it("is not got round by fragments that contradict each other", async () => {
    await attacker.setPolicy(HTTPS_ONLY);
    attacker.forget();
    await attacker.successes(AIMS.flatMap(contradictions));
    expect(attacker.segmentsTo(OTHER)).toEqual([]);
    await attacker.setPolicy("open");
    await attacker.successes(all());
    expect(attacker.segmentsTo(OTHER)).not.toEqual([]);
  });
});

describe("source routes", () => {
  /** Loose (131) or strict (137): the packet goes to `to` first, and from there to the next. */
  const routed = (kind: 131 | 137, to: string, next: string): Attack => ({
    name: `${kind === 131 ? "loose" : "strict"} by ${to} to ${next}`,
    packets: (mark) => {
      const ends = endsTo(to);
      const route = Buffer.concat([Buffer.from([kind, 7, 4]), addressBytes(next), Buffer.from([0])]);
      return [ipv4({ ...ends, protocol: PROTOCOL.udp, payload: datagram(to, 9, mark), options: route })];
    },
  });
  const kinds = [131, 137] as const;
  const open = (): Attack[] => kinds.map((kind) => routed(kind, FAR.listed4, HOST.ipv4));
  const forbidden = (): Attack[] =>
    kinds.flatMap((kind) =>
      [HOST.ipv4, attacker.neighbour.ipv4, FAR.private4].map((next) => routed(kind, attacker.slot.routerIpv4, next)),
    );

  it("are not followed", async () => {
    await attacker.setPolicy("open");
    expect(await attacker.successes([...open(), ...forbidden()])).toEqual([]);
  });

  it("lead nowhere new where the router's kernel follows them", async () => {
    const links = (await world.inRouter("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
    await world.inRouter("sysctl", "-q", "-w", ...links.map((link) => `net.ipv4.conf.${link}.accept_source_route=1`));
    expect(await attacker.successes(forbidden())).toEqual([]);
    expect(await attacker.successes(open())).toEqual([expect.stringContaining("loose")]);
    await attacker.withoutRules();
    expect(await attacker.successes(forbidden())).not.toEqual([]);
  });
});
