// Packets that are not what they seem: forged sources, fragments, extension headers, source routes, advertisements,
// redirects and errors that nothing provoked. None gets anywhere; without the rules each of them does.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Attack, Attacker } from "../../test/network/attacker.ts";
import {
  addressBytes,
  echo,
  extension,
  fragments,
  hardware,
  icmp,
  icmpProtocol,
  ipv4,
  ipv6,
  isIpv6,
  PROTOCOL,
  packet,
  pieces,
  TCP,
  tcp,
  udp,
} from "../../test/network/packets.ts";
import { newMark } from "../../test/network/wire.ts";
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

const PORTS = { sport: 4444, dport: 443 } as const;
const ownOf = (to: string): string => (isIpv6(to) ? attacker.slot.ipv6 : attacker.slot.ipv4);

function forgedSources(): Attack[] {
  const { slot, neighbour } = attacker;
  const sources = {
    "another slot's": [neighbour.ipv4, neighbour.ipv6],
    "the router's": [slot.routerIpv4, slot.routerIpv6],
    "the machine's": [HOST.ipv4, HOST.ipv6],
    "a stranger's": [FAR.unlisted4, FAR.unlisted6],
    "a next one's": ["100.64.0.3", slot.ipv6.replace(/2$/, "3")],
    nobody: ["0.0.0.0", "::"],
    loopback: ["127.0.0.1", "::1"],
    everybody: ["255.255.255.255", "ff02::1"],
    "a link's": ["169.254.7.7", "fe80::7"],
    private: ["10.77.0.99", "fd77::99"],
  };
  const aims = [FAR.listed4, FAR.listed6, neighbour.ipv4, neighbour.ipv6, slot.routerIpv4, slot.routerIpv6];
  return Object.entries(sources).flatMap(([whose, addresses]) =>
    addresses.flatMap((from) =>
      aims
        .filter((to) => isIpv6(to) === isIpv6(from) && to !== from)
        .flatMap((to): Attack[] => {
          const ends = { from, to };
          const name = `from ${whose} address ${from} to ${to}`;
          return [
            { name: `${name}, UDP`, packets: (mark) => [packet(ends, PROTOCOL.udp, udp(ends, PORTS, mark))] },
            { name: `${name}, TCP`, packets: (mark) => [packet(ends, PROTOCOL.tcp, tcp(ends, PORTS, TCP.syn, mark))] },
            { name: `${name}, ICMP`, packets: (mark) => [packet(ends, icmpProtocol(to), echo(ends, 9, mark))] },
            {
              name: `${name}, in fragments`,
              packets: (mark) => fragments(ends, PROTOCOL.udp, 77, pieces(udp(ends, PORTS, mark), 8)),
            },
          ];
        }),
    ),
  );
}

let fragmentId = 1000;

/** Datagrams for a forbidden destination, cut up so that a filter which reads single pieces would not see what it is. */
function fragmented(to: string): Attack[] {
  const ends = { from: ownOf(to), to };
  const whole = (mark: Buffer): Buffer => udp(ends, PORTS, Buffer.concat([mark, mark, mark]));
  const cut = (name: string, make: (mark: Buffer, id: number) => Buffer[]): Attack => ({
    name: `${name} to ${to}`,
    packets: (mark) => make(mark, ++fragmentId),
  });
  const end = (bytes: Buffer, offset: number): { bytes: Buffer; offset: number; more: false } => {
    return { bytes, offset, more: false };
  };
  return [
    cut("tiny fragments", (mark, id) => fragments(ends, PROTOCOL.udp, id, pieces(whole(mark), 8))),
    cut("fragments in reverse", (mark, id) => fragments(ends, PROTOCOL.udp, id, pieces(whole(mark), 8)).reverse()),
    cut("a second fragment alone", (mark, id) => fragments(ends, PROTOCOL.udp, id, [end(mark, 8)])),
    cut("a fragment that is whole", (mark, id) => fragments(ends, PROTOCOL.udp, id, [end(whole(mark), 0)])),
    cut("a TCP header cut before its flags", (mark, id) => {
      const segment = tcp(ends, PORTS, TCP.syn, mark);
      return fragments(ends, PROTOCOL.tcp, id, [
        { bytes: segment.subarray(0, 8), offset: 0, more: true },
        end(segment.subarray(8), 8),
      ]);
    }),
    cut("overlapping fragments", (mark, id) =>
      fragments(ends, PROTOCOL.udp, id, [
        { bytes: whole(mark).subarray(0, 16), offset: 0, more: true },
        end(whole(mark).subarray(8), 8),
      ]),
    ),
  ];
}

/** IPv6 packets whose headers between address and payload would lead a careless reader astray. */
function extended(to: string): Attack[] {
  const ends = { from: ownOf(to), to };
  const datagram = (mark: Buffer): Buffer => udp(ends, PORTS, mark);
  const by = (name: string, next: number, payload: (mark: Buffer) => Buffer): Attack => ({
    name: `${name} to ${to}`,
    packets: (mark) => [ipv6({ ...ends, next, payload: payload(mark) })],
  });
  const routing = (type: number, last: string): Buffer =>
    Buffer.concat([Buffer.from([type, 1, 0, 0, 0, 0]), addressBytes(last)]);
  const { udp: UDP, destination, hopByHop } = PROTOCOL;
  return [
    by("destination options", destination, (mark) => Buffer.concat([extension(UDP), datagram(mark)])),
    by("many destination options", destination, (mark) =>
      Buffer.concat([...Array.from({ length: 7 }, () => extension(destination)), extension(UDP), datagram(mark)]),
    ),
    by("hop-by-hop options", hopByHop, (mark) => Buffer.concat([extension(UDP), datagram(mark)])),
    by("a routing header of type 4", PROTOCOL.routing, (mark) =>
      Buffer.concat([extension(UDP, routing(4, FAR.listed6)), datagram(mark)]),
    ),
    by("a fragment without transport header", PROTOCOL.fragment, (mark) => {
      fragmentId += 1;
      const chain = Buffer.concat([extension(UDP), datagram(mark)]);
      return (
        fragments(ends, destination, fragmentId, [{ bytes: chain, offset: 0, more: false }])[0]?.subarray(40) ?? chain
      );
    }),
  ];
}

describe("raw packets out of a slot", () => {
  const all = (): Attack[] => {
    const { slot, neighbour } = attacker;
    const forbidden = [HOST.ipv4, HOST.ipv6, neighbour.ipv4, neighbour.ipv6, FAR.private4, FAR.private6];
    return [
      ...forgedSources(),
      ...forbidden.flatMap(fragmented),
      ...forbidden.filter(isIpv6).flatMap(extended),
      ...uninvited(slot.routerIpv4, slot.routerIpv6),
    ];
  };

  it.each(["open", "blocked"] as const)(
    "of sources, shapes and kinds that are not allowed get nowhere (%s)",
    async (mode) => {
      await attacker.setPolicy(mode);
      expect(await attacker.successes(all())).toEqual([]);
    },
  );

  it.each([4, 6] as const)("never become part of what a neighbour sends in fragments (IPv%i)", async (family) => {
    await attacker.setPolicy("open");
    expect(await mixed(family)).toBe(false);
  });

  it("get there without the rules", async () => {
    await attacker.withoutRules();
    const arrived = new Set(await attacker.successes(all()));
    const missing = all().filter(({ name }) => !arrived.has(name) && !REFUSED_ANYWAY.test(name));
    expect(missing.map(({ name }) => name)).toEqual([]);
    expect(arrived.size).toBeGreaterThan(150);
    expect([await mixed(4), await mixed(6)]).toEqual([true, true]);
  });
});

/** Sources that the kernel itself does not take from another. */
const REFUSED_ANYWAY = /^from (the router's address 100|nobody|loopback|everybody|a link's address fe80)/;

/** Whether a datagram of the neighbour's can be begun by the attacker, in the neighbour's name. */
async function mixed(family: 4 | 6): Promise<boolean> {
  const { neighbour } = attacker;
  const ends = family === 4 ? { from: neighbour.ipv4, to: FAR.listed4 } : { from: neighbour.ipv6, to: FAR.listed6 };
  const mark = newMark();
  const datagram = udp(ends, PORTS, Buffer.concat([mark, Buffer.alloc(8)]));
  fragmentId += 1;
  const [first, ...rest] = fragments(ends, PROTOCOL.udp, fragmentId, pieces(datagram, 16));
  if (first !== undefined) await attacker.send([first]);
  await attacker.sendFromNeighbour(rest);
  await attacker.through();
  return attacker.marks().has(mark.toString());
}

/** What routers and hosts tell each other, told by a slot to the router. */
function uninvited(router4: string, router6: string): Attack[] {
  const { slot, neighbour } = attacker;
  const local = { from: "fe80::7", to: "ff02::1" };
  const told = (
    name: string,
    ends: { from: string; to: string },
    message: (mark: Buffer) => Buffer,
    hopLimit = 255,
  ) => ({
    name: `${name} from ${ends.from} to ${ends.to}`,
    packets: (mark: Buffer) => [ipv6({ ...ends, next: PROTOCOL.icmpv6, payload: message(mark), hopLimit })],
  });
  const prefix = Buffer.concat([
    Buffer.from([3, 4, 64, 0xc0]),
    Buffer.alloc(8, 0xff),
    Buffer.alloc(4),
    addressBytes("2001:db8:bad::"),
  ]);
  const advertisement = (ends: typeof local) => (mark: Buffer) =>
    icmp(
      ends,
      134,
      0,
      0x400007ff,
      Buffer.concat([Buffer.alloc(8), prefix, Buffer.from([253, 2]), mark, Buffer.alloc(6)]),
    );
  const redirect = (ends: typeof local) => (mark: Buffer) =>
    icmp(
      ends,
      137,
      0,
      0,
      Buffer.concat([addressBytes(slot.ipv6), addressBytes(FAR.listed6), Buffer.from([253, 2]), mark, Buffer.alloc(6)]),
    );
  const fromOwn = { from: slot.ipv6, to: router6 };
  const toRouter = { from: slot.ipv4, to: router4 };
  const inner = { from: HOST.ipv4, to: FAR.listed4 };
  const error =
    (type: number, rest: number) =>
    (mark: Buffer): readonly Buffer[] => {
      const about = packet(inner, PROTOCOL.udp, udp(inner, PORTS, mark));
      return [ipv4({ ...toRouter, protocol: PROTOCOL.icmp, payload: icmp(toRouter, type, 1, rest, about) })];
    };
  return [
    told("a router advertisement", fromOwn, advertisement(fromOwn)),
    told("a router advertisement", local, advertisement(local)),
    told("an IPv6 redirect", fromOwn, redirect(fromOwn)),
    told("an echo to all nodes", { ...local, from: slot.ipv6 }, (mark) => echo({ ...local, from: slot.ipv6 }, 3, mark)),
    told(
      "a far neighbour advertisement",
      fromOwn,
      (mark) =>
        icmp(
          fromOwn,
          136,
          0,
          0x60000000,
          Buffer.concat([addressBytes(neighbour.ipv6), Buffer.from([253, 2]), mark, Buffer.alloc(6)]),
        ),
      64,
    ),
    { name: "an ICMP redirect", packets: error(5, Number(`0x${hardware("64:40:00:02").toString("hex")}`)) },
    { name: "an ICMP error about nothing", packets: error(3, 0) },
    {
      name: "an ICMP echo to the router",
      packets: (mark) => [packet(toRouter, PROTOCOL.icmp, echo(toRouter, 5, mark))],
    },
  ];
}
