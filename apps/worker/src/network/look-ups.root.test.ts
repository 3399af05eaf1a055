// Look-ups with real packets: who may ask the resolver at the router's address, what comes back, and how others are told no.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { FAR, GATEWAY_UID, RESOLVER_UID, World } from "../../test/network/world.ts";
import type { SlotNetwork } from "./index.ts";

let world: World;
let worker: Child;
let server: Child;
let slots: readonly [SlotNetwork, SlotNetwork];
let clients: readonly [Child, Child];

beforeAll(async () => {
  world = await World.create();
  worker = world.worker({ resolver: { uid: RESOLVER_UID, queriesPerSecond: 100 } });
  await worker.call("start");
  slots = [await worker.call<SlotNetwork>("acquireSlot"), await worker.call<SlotNetwork>("acquireSlot")];
  clients = [world.client(slots[0].netnsPath), world.client(slots[1].netnsPath)];
  server = world.lookUpServer();
  await server.call("user"); // it answers once it listens
  await policies("open", "open");
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

async function policies(first: unknown, second: unknown): Promise<void> {
  await worker.call("setPolicy", slots[0].slot, first);
  await worker.call("setPolicy", slots[1].slot, second);
}

function ask(kind: "udp" | "tcp", address: string, client = clients[0], port = 53, timeoutMs = 2000): Promise<string> {
  return client.call<string>(kind, address, port, "who?", timeoutMs);
}

/** All four ways of asking at a slot's own router addresses. */
function askAll(index: 0 | 1): Promise<string[]> {
  const { routerIpv4, routerIpv6 } = slots[index];
  const ways = [ask("udp", routerIpv4, clients[index]), ask("udp", routerIpv6, clients[index])];
  return Promise.all([...ways, ask("tcp", routerIpv4, clients[index]), ask("tcp", routerIpv6, clients[index])]);
}

const ANSWERED = ["answered", "answered", "answered", "answered"];
const REFUSED = ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"];

describe("an open slot", () => {
  it("is answered from the address that it asked, over UDP and TCP, in both families, beside another", async () => {
    expect(await Promise.all([askAll(0), askAll(1)])).toEqual([ANSWERED, ANSWERED]);
  });

  it("reaches nothing else of the router: neither other ports nor others' addresses", async () => {
    const before = (await server.call<string[]>("heard")).length;
    const others = [slots[1].routerIpv4, slots[1].routerIpv6, slots[1].ipv4, slots[1].ipv6];
    const targets = [...others.map((address) => [address, 53] as const), [slots[0].routerIpv4, 54] as const];
    const tries = targets.flatMap(([address, port]) =>
      (["udp", "tcp"] as const).map((kind) => ask(kind, address, clients[0], port, 500)),
    );
    expect(await Promise.all(tries)).not.toContain("answered");
    expect(await server.call<string[]>("heard")).toHaveLength(before);
  });

  it("leaves no trace in the table of connections", async () => {
    expect(await askAll(0)).toEqual(ANSWERED);
    const entries = await world.inRouter("conntrack", "-L", "-o", "extended");
    expect(entries.split("\n").filter((line) => line.includes("port=53 "))).toEqual([]);
  });
});

describe("a slot that is not open", () => {
  it.each(["blocked", { allow: [`${FAR.listed4}/32`] }])("is refused at once: %j", async (policy) => {
    await policies(policy, "open");
    const before = (await server.call<string[]>("heard")).length;
    expect(await askAll(0)).toEqual(REFUSED);
    expect(await server.call<string[]>("heard")).toHaveLength(before);
    expect(await askAll(1)).toEqual(ANSWERED);
  });

  it("follows its policy, both ways", async () => {
    for (const [policy, expected] of [
      ["open", ANSWERED],
      ["blocked", REFUSED],
      ["open", ANSWERED],
    ] as const) {
      await policies(policy, "open");
      expect(await askAll(0)).toEqual(expected);
    }
  });

  it("hears nothing from the resolver", async () => {
    const port = await clients[0].call<number>("listen", 4);
    await policies("open", "open");
    await server.call("send", slots[0].ipv4, port, "while open");
    await expect.poll(() => clients[0].call("unasked")).toEqual(["while open"]);
    await policies("blocked", "open");
    await server.call("send", slots[0].ipv4, port, "while blocked");
    expect(await askAll(1)).toEqual(ANSWERED);
    expect(await clients[0].call("unasked")).toEqual(["while open"]);
  });

  it("is not answered beyond a rate of refusals", async () => {
    await policies("blocked", "open");
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, () => clients[0].call<string>("udp", slots[0].routerIpv4, 53, "who?", 300)),
    );
    expect(new Set(outcomes)).toEqual(new Set(["ECONNREFUSED", "timeout"]));
  });
});

describe("the resolver's side", () => {
  it("is outside of the router, and its sockets are its user's", async () => {
    expect(await server.call("user")).toBe(RESOLVER_UID);
    expect(await server.call<string[]>("interfaces")).toContain("ext0");
  });

  it("opens no connection into a slot, and no other user answers in its place", async () => {
    await policies("open", "open");
    const listener = await clients[0].call<number>("listen", 4);
    // Processes inside the router: nobody is there as the resolver's user, and if he were he could open nothing.
    const tcp = `import socket; s = socket.socket(); s.settimeout(1); s.connect(("${slots[0].ipv4}", 9))`;
    expect(await inRouterAs(RESOLVER_UID, tcp)).toMatch(/TimeoutError|PermissionError/);
    const udp = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)";
    const send = `${udp}; s.sendto(b"forged", ("${slots[0].ipv4}", ${listener}))`;
    for (const uid of [0, RESOLVER_UID, GATEWAY_UID + 7])
      expect(await inRouterAs(uid, send)).toMatch(/PermissionError/);
  });

  it("is spared most of a flood, and others with it", async () => {
    await policies("open", "open");
    const [answers, beside] = await Promise.all([
      clients[0].call<number>("flood", slots[0].routerIpv4, 53, 5000, 500),
      Promise.all(Array.from({ length: 20 }, () => ask("udp", slots[1].routerIpv4, clients[1]))),
    ]);
    expect(answers).toBeGreaterThan(0);
    expect(answers).toBeLessThan(2500);
    expect(new Set(beside)).toEqual(new Set(["answered"]));
  });
});

/** The last line of what a Python program says on its way out. */
async function inRouterAs(uid: number, program: string): Promise<string> {
  const argv = [
    `--net=${world.routerPath}`,
    "setpriv",
    `--reuid=${uid}`,
    "--clear-groups",
    "/usr/bin/python3",
    "-c",
    program,
  ];
  const child = spawn("nsenter", argv, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, "close");
  return text.trim().split("\n").at(-1) ?? "";
}
