// Every address that no policy may open, by raw packets of several protocols out of a slot: none of them gets anywhere.
// Then the same packets without the router's rules, where they do: what stopped them were the rules.

import type { NetworkPolicy } from "@sallyport/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Attack, Attacker } from "../../test/network/attacker.ts";
import { echo, icmpProtocol, isIpv6, PROTOCOL, packet, TCP, tcp, udp } from "../../test/network/packets.ts";
import { FAR, HOST, World } from "../../test/network/world.ts";

/** Of the platform and of what a host commonly runs. */
const PORTS = [1, 22, 53, 80, 443, 2375, 5432, 7350, 7351, 7352, 7353, 10_099];

let world: World;
let attacker: Attacker;
let targets: Record<string, string>;

beforeAll(async () => {
  world = await World.create();
  attacker = await Attacker.start(world);
  targets = await forbiddenTargets();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

async function addressesOf(path: "inHost" | "inRouter"): Promise<string[]> {
  const lines = (await world[path]("ip", "-o", "addr")).split("\n");
  return lines.flatMap((line) => /inet6? ([^/ ]+)/.exec(line)?.[1] ?? []);
}

async function forbiddenTargets(): Promise<Record<string, string>> {
  const { slot, neighbour } = attacker;
  const own = [...(await addressesOf("inHost")), ...(await addressesOf("inRouter"))];
  const routers = [slot.routerIpv4, slot.routerIpv6, neighbour.routerIpv4, neighbour.routerIpv6];
  const named: Record<string, readonly string[]> = {
    "the machine": [...own, ...Object.values(HOST), ...routers, "198.51.100.255"],
    "another sandbox": [neighbour.ipv4, neighbour.ipv6],
    "a network of sandboxes": ["100.64.0.0", "100.127.255.255", neighbour.ipv6.replace(/::2$/, "::")],
    metadata: [FAR.metadata, "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"],
    "metadata by IPv6": ["fd00:ec2::254", "fd00:42::42", "fd20:ce::254", "fe80::a9fe:a9fe"],
    loopback: ["127.0.0.1", "127.0.0.53", "127.255.255.254", "::1"],
    nobody: ["0.0.0.0", "0.1.2.3", "::"],
    everybody: ["224.0.0.1", "224.0.0.251", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1", "ff02::2"],
    "everybody of a site": ["ff05::2", "ff0e::1"],
    "IPv4 embedded": ["::ffff:198.51.100.10", "::198.51.100.10", "::ffff:0:198.51.100.10", "fec0::1"],
    "IPv4 behind a gateway": ["64:ff9b::198.51.100.10", "64:ff9b:1::198.51.100.10"],
    "IPv4 in a tunnel": ["2002:c633:640a::1", "2001:0:c633:640a::1"],
  };
  return Object.fromEntries(Object.entries(named).flatMap(([name, all]) => all.map((one) => [one, name])));
}

/** All that may be tried at one address. */
function attemptsAt(address: string, name: string): Attack[] {
  const { slot } = attacker;
  const ends = { from: isIpv6(address) ? slot.ipv6 : slot.ipv4, to: address };
  const attempt = (how: string, protocol: number, payload: (mark: Buffer) => Buffer): Attack => ({
    name: `${name} at ${address} by ${how}`,
    packets: (mark) => [packet(ends, protocol, payload(mark))],
  });
  const others = { ipip: PROTOCOL.ipip, sixInFour: PROTOCOL.sixInFour, gre: PROTOCOL.gre, sctp: PROTOCOL.sctp };
  // What an open sandbox may ask its own router is another test's: names.
  const resolver = address === slot.routerIpv4 || address === slot.routerIpv6;
  return [
    ...PORTS.filter((port) => !(resolver && port === 53)).flatMap((dport) => [
      attempt(`TCP ${dport}`, PROTOCOL.tcp, (mark) => tcp(ends, { sport: 4444, dport }, TCP.syn, mark)),
      attempt(`UDP ${dport}`, PROTOCOL.udp, (mark) => udp(ends, { sport: 4444, dport }, mark)),
    ]),
    attempt("ICMP", icmpProtocol(address), (mark) => echo(ends, 7, mark)),
    ...Object.entries(others).map(([how, protocol]) => attempt(how, protocol, (mark) => Buffer.concat([mark, mark]))),
    // As if it belonged to a connection: tracking takes up what it finds under way.
    attempt("TCP 443 under way", PROTOCOL.tcp, (mark) => tcp(ends, { sport: 4445, dport: 443 }, TCP.ack, mark)),
  ];
}

const attempts = (): Attack[] => Object.entries(targets).flatMap(([address, name]) => attemptsAt(address, name));

const EVERYTHING = { allow: ["0.0.0.0/0", "::/0"] };
const PRIVATE = { allow: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "100.64.0.0/10"] };

const policies: readonly (readonly [name: string, policy: NetworkPolicy, grants: readonly string[]])[] = [
  ["blocked", "blocked", []],
  ["open", "open", []],
  ["everything allowed and granted", EVERYTHING, ["0.0.0.0/0", "::/0"]],
  ["everything private allowed and granted", PRIVATE, ["0.0.0.0/0", "::/0"]],
];

describe("addresses that no policy opens", () => {
  it.each(policies)("are not reached: %s", async (_, policy, grants) => {
    await attacker.setPolicy(policy, grants);
    expect(await attacker.successes(attempts())).toEqual([]);
  });
});

/** What a kernel with default settings neither forwards nor takes for its own, rules or not. */
const REFUSED_ANYWAY = /^(0\.|127\.|224\.0\.0\.251|239\.|100\.64\.0\.0$|::1$|fe80:|ff0[5e]:)/;

describe("without the router's rules", () => {
  it("the same packets get to all of these addresses that a kernel itself would serve", async () => {
    await attacker.withoutRules();
    const arrived = new Set((await attacker.successes(attempts())).map((name) => / at (\S+) by /.exec(name)?.[1]));
    const served = Object.keys(targets).filter((address) => !REFUSED_ANYWAY.test(address));
    expect(served.filter((address) => !arrived.has(address))).toEqual([]);
    expect(served.length).toBeGreaterThan(30);
  });
});
