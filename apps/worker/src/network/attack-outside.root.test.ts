// Ways in: a peer on the machine's network who routes into slots, another user on the machine, and the machine's own
// rules flushed, reloaded as Debian does, and closed as Docker does. Nothing comes in, and what was open stays open.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Attack, Attacker } from "../../test/network/attacker.ts";
import type { Child } from "../../test/network/child.ts";
import {
  echo,
  fragments,
  frame,
  icmp,
  icmpProtocol,
  isIpv6,
  PROTOCOL,
  packet,
  pieces,
  TCP,
  tcp,
  udp,
} from "../../test/network/packets.ts";
import type { Injector } from "../../test/network/wire.ts";
import { FAR, HOST, World } from "../../test/network/world.ts";

const NOBODY = 65_534;
const SILENCE_MS = 500;

let world: World;
let attacker: Attacker;
let peer: Injector;
let hardware: { readonly host: string; readonly far: string };
let uplink: { readonly router4: string; readonly router6: string };
let inSlot: Child;
let slotPort: number;
let farPort: number;

beforeAll(async () => {
  world = await World.create();
  attacker = await Attacker.start(world);
  await attacker.setPolicy("open");
  peer = world.injector(world.farPath);
  hardware = {
    host: await world.hardwareAddress(world.hostPath, "ext0"),
    far: await world.hardwareAddress(world.farPath, "ext0"),
  };
  inSlot = world.agent(attacker.slot.netnsPath);
  slotPort = await inSlot.call<number>("serve");
  farPort = await world.agent(world.farPath).call<number>("serve");
  const lines = await world.inRouter("ip", "-o", "addr", "show", "uplink");
  uplink = { router4: /inet ([^/]+)/.exec(lines)?.[1] ?? "", router6: /inet6 (fd[^/]+)/.exec(lines)?.[1] ?? "" };
  // The worst machine there is: it believes every source, and knows the way into every slot.
  const links = (await world.inHost("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
  const conf = links.flatMap((link) => [`net.ipv4.conf.${link}.rp_filter=0`, `net.ipv4.conf.${link}.accept_local=1`]);
  await world.inHost("sysctl", "-q", "-w", ...conf);
  await world.inHost("ip", "route", "add", "100.64.0.0/10", "via", uplink.router4);
  for (const { ipv6 } of [attacker.slot, attacker.neighbour]) {
    await world.inHost("ip", "route", "add", ipv6.replace(/2$/, "/64"), "via", uplink.router6);
  }
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** Packets into the neighbour's slot, and to the router, from sources that might be trusted more than a stranger. */
function ways(): Attack[] {
  const { neighbour, slot } = attacker;
  const aims = [
    neighbour.ipv4,
    neighbour.ipv6,
    neighbour.routerIpv4,
    neighbour.routerIpv6,
    uplink.router4,
    uplink.router6,
  ];
  const sources4 = [FAR.listed4, HOST.ipv4, slot.ipv4, neighbour.routerIpv4, uplink.router4, FAR.private4];
  const sources6 = [FAR.listed6, HOST.ipv6, slot.ipv6, neighbour.routerIpv6, uplink.router6, FAR.private6];
  return aims.flatMap((to) =>
    (isIpv6(to) ? sources6 : sources4)
      .filter((from) => from !== to)
      .flatMap((from): Attack[] => {
        const ends = { from, to };
        const ports = { sport: 443, dport: 8080 };
        const way = (how: string, packets: Attack["packets"]): Attack => ({
          name: `${how} from ${from} to ${to}`,
          packets,
        });
        const about = { from: to, to: from };
        return [
          way("TCP", (mark) => [packet(ends, PROTOCOL.tcp, tcp(ends, ports, TCP.syn, mark))]),
          way("a TCP answer", (mark) => [packet(ends, PROTOCOL.tcp, tcp(ends, ports, TCP.syn | TCP.ack, mark))]),
          way("a TCP acknowledgement", (mark) => [packet(ends, PROTOCOL.tcp, tcp(ends, ports, TCP.ack, mark))]),
          way("UDP", (mark) => [packet(ends, PROTOCOL.udp, udp(ends, ports, mark))]),
          way("a DNS answer", (mark) => [packet(ends, PROTOCOL.udp, udp(ends, { sport: 53, dport: 33_000 }, mark))]),
          way("an echo", (mark) => [packet(ends, icmpProtocol(to), echo(ends, 3, mark))]),
          way("fragments", (mark) => fragments(ends, PROTOCOL.udp, 99, pieces(udp(ends, ports, mark), 8))),
          way("an ICMP error about nothing", (mark) => {
            const inner = packet(about, PROTOCOL.udp, udp(about, { sport: 8080, dport: 443 }, mark));
            return [packet(ends, icmpProtocol(to), icmp(ends, isIpv6(to) ? 1 : 3, 3, 0, inner))];
          }),
        ];
      }),
  );
}

const fromPeer = async (packets: readonly Buffer[]): Promise<void> =>
  peer.send(packets.map((bytes) => ({ link: "ext0", frame: frame(hardware.host, hardware.far, bytes) })));

/** What an open slot must not reach, whoever's rules are gone on the machine. */
function forbidden(): Attack[] {
  const { slot, neighbour } = attacker;
  const aims = [...Object.values(HOST), FAR.metadata, FAR.private4, FAR.private6, neighbour.ipv4, neighbour.ipv6];
  return aims.map((to) => {
    const ends = { from: isIpv6(to) ? slot.ipv6 : slot.ipv4, to };
    return {
      name: `out to ${to}`,
      packets: (mark) => [packet(ends, PROTOCOL.udp, udp(ends, { sport: 9, dport: 9 }, mark))],
    };
  });
}

/** What of it the neighbour's slot or the router itself got. */
const entered = (): Promise<string[]> => attacker.successes(ways(), { send: fromPeer, inside: true });

/** Whether TCP and UDP of both families get from the slot to the far end, and nothing to the machine. */
async function goesOut(timeoutMs = 2000): Promise<boolean> {
  const answers = await Promise.all(
    [FAR.listed4, FAR.listed6].flatMap((address) => [
      inSlot.call<string>("tcp", address, farPort, timeoutMs),
      inSlot.call<string>("udp", address, farPort, "out", timeoutMs),
    ]),
  );
  return answers.every((answer) => answer === "open");
}

async function shell(...lines: readonly string[]): Promise<void> {
  await world.inHost("sh", "-c", `set -e\n${lines.join("\n")}`);
}

async function flushed(): Promise<void> {
  await world.inHost("nft", "flush", "ruleset");
}

/** As `iptables-nft` and Docker's own start leave it: everything forwarded is dropped, but for Docker's own networks. */
const dockerStarts = (): Promise<void> =>
  shell(
    ...["iptables-nft", "ip6tables-nft"].flatMap((program) => [
      `${program} -P FORWARD DROP`,
      `${program} -N DOCKER-USER`,
      `${program} -A DOCKER-USER -j RETURN`,
      `${program} -N DOCKER`,
      `${program} -A FORWARD -j DOCKER-USER`,
      `${program} -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `${program} -A FORWARD -o docker0 -j DOCKER`,
      `${program} -A FORWARD -i docker0 ! -o docker0 -j ACCEPT`,
    ]),
    "iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
  );

/** Debian's own /etc/nftables.conf, with another policy for what is forwarded. */
async function debianReloads(policy: "accept" | "drop"): Promise<void> {
  const path = join(world.directory, "nftables.conf");
  const chain = (name: string, verdict: string): string =>
    `chain ${name} { type filter hook ${name} priority filter; policy ${verdict}; }`;
  const chains = [chain("input", "accept"), chain("forward", policy), chain("output", "accept")].join("\n");
  await writeFile(path, `flush ruleset\ntable inet filter {\n${chains}\n}\n`);
  await world.inHost("nft", "-f", path);
}

describe("a peer on the machine's network", () => {
  it("gets into no slot and no router, whatever it says it is", async () => {
    expect(await entered()).toEqual([]);
  });

  it("gets nothing into what a slot has tightened away", async () => {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => attacker.setPolicy("open"));
    // The connection is the slot's own, and known on the way; errors about it would come from anywhere.
    const flow = await inSlot.call<number>("hold", FAR.listed4, farPort);
    expect(await inSlot.call("echo", flow, "before", 2000)).toBe(true);
    const table = await world.inHost("conntrack", "-L", "-p", "tcp", "--dport", String(farPort));
    const port = Number(/sport=(\d+)/.exec(table)?.[1] ?? "0");
    const ends = { from: FAR.unlisted4, to: HOST.ipv4 };
    const inner = { from: HOST.ipv4, to: FAR.listed4 };
    const errors: Attack = {
      name: "an ICMP error about a connection",
      packets: (mark) => {
        const about = packet(inner, PROTOCOL.tcp, tcp(inner, { sport: port, dport: farPort }, TCP.ack, mark));
        return [packet(ends, PROTOCOL.icmp, icmp(ends, 3, 13, 0, about))];
      },
    };
    const seen = { send: fromPeer, inside: true, own: true };
    expect(await attacker.successes([errors], seen)).toEqual([errors.name]);
    await attacker.setPolicy("blocked");
    // What was known of the connection is forgotten soon after.
    await expect.poll(() => attacker.successes([errors], seen), { timeout: 5000 }).toEqual([]);
  });
});

describe("another user on the machine", () => {
  it("gets into no slot, though the way is known", async () => {
    const user = world.agent(world.hostPath, NOBODY);
    const { slot } = attacker;
    const answers = await Promise.all(
      [slot.ipv4, slot.ipv6].flatMap((address) => [
        user.call("tcp", address, slotPort, SILENCE_MS),
        user.call("udp", address, slotPort, "knock", SILENCE_MS),
      ]),
    );
    expect(answers).not.toContain("open");
    expect(await inSlot.call("received")).not.toContain("knock");
  });

  it("cannot join the router's namespace or a slot's", async () => {
    for (const path of [world.routerPath, attacker.slot.netnsPath]) {
      expect(await joins(path, NOBODY)).toBe(false);
      expect(await joins(path, 0)).toBe(true);
    }
  });
});

async function joins(path: string, uid: number): Promise<boolean> {
  const drop = uid === 0 ? [] : ["--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const child = spawn("setpriv", [...drop, "nsenter", `--net=${path}`, "true"], { stdio: "ignore" });
  const [code] = (await once(child, "exit")) as [number | null];
  return code === 0;
}

describe("the machine's rules", () => {
  const changes: readonly (readonly [name: string, change: () => Promise<void>])[] = [
    ["flushed", flushed],
    ["flushed and closed by Docker", () => flushed().then(dockerStarts)],
    ["reloaded as Debian does", () => debianReloads("accept")],
  ];

  it.each(changes)("%s: nothing comes in meanwhile or after, and slots get out again", async (_, change) => {
    expect(await goesOut()).toBe(true);
    await change();
    // Just now nobody has mended anything yet.
    expect([...(await entered()), ...(await attacker.successes(forbidden()))]).toEqual([]);
    await expect.poll(() => goesOut(500), { timeout: 10_000 }).toBe(true);
    expect([...(await entered()), ...(await attacker.successes(forbidden()))]).toEqual([]);
  });

  it("closed by a table of the operator's own: nothing comes in or goes out, until it says otherwise", async () => {
    await debianReloads("drop");
    expect(await entered()).toEqual([]);
    const rules = await world.inHost("ip", "-o", "link");
    const link = /spu[0-9a-z]+/.exec(rules)?.[0] ?? "";
    expect(await goesOut(SILENCE_MS)).toBe(false);
    await world.inHost("nft", `add rule inet filter forward iifname ${link} accept`);
    await world.inHost("nft", `add rule inet filter forward oifname ${link} accept`);
    await expect.poll(() => goesOut(500), { timeout: 10_000 }).toBe(true);
    expect(await entered()).toEqual([]);
  });

  it("flushed with the worker dead: nothing comes in", async () => {
    await attacker.worker.call("dispose");
    await world.inHost("nft", "flush", "ruleset");
    expect(await entered()).toEqual([]);
  });

  it("and the router's gone: then it would", async () => {
    await attacker.withoutRules();
    const links = (await world.inRouter("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
    await world.inRouter("sysctl", "-q", "-w", ...links.map((link) => `net.ipv4.conf.${link}.accept_local=1`));
    const got = new Set(await entered());
    const inwards = ways().filter(
      ({ name }) => name.endsWith(`to ${attacker.neighbour.ipv4}`) || name.endsWith(`to ${attacker.neighbour.ipv6}`),
    );
    expect(await attacker.successes(forbidden())).toHaveLength(forbidden().length);
    expect(inwards.map(({ name }) => name).filter((name) => !got.has(name))).toEqual([]);
  });
});
