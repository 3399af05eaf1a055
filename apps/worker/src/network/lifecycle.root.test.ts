// Slots that come and go, a worker that dies, rules that vanish, and what is left after the end.

import { access, readFile } from "node:fs/promises";
import { compile } from "@sallyport/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../../test/network/child.ts";
import { FAR, GATEWAY_UID, HOST, World } from "../../test/network/world.ts";
import { run } from "../system/command.ts";
import type { SlotNetwork } from "./index.ts";

const SILENCE_MS = 500;

let world: World;

beforeEach(async () => {
  world = await World.create();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

async function started(overrides: object = {}): Promise<Child> {
  const worker = world.worker(overrides);
  await worker.call("start");
  return worker;
}

const acquire = (worker: Child): Promise<SlotNetwork> => worker.call<SlotNetwork>("acquireSlot");

async function namespaces(): Promise<string[]> {
  const names = (await run(["ip", "netns", "list"])).stdout.split("\n").map((line) => line.split(" ")[0] ?? "");
  return names.filter((name) => name.startsWith(`sp-${world.tag}`));
}

describe("slots", () => {
  it("are told apart, prepared ahead, gone after release, and their numbers rest", async () => {
    const worker = await started();
    const slots = [await acquire(worker), await acquire(worker), await acquire(worker)];
    expect(new Set(slots.map((slot) => slot.slot)).size).toBe(3);
    expect(new Set(slots.map((slot) => slot.ipv4)).size).toBe(3);
    const [gone] = slots;
    if (gone === undefined) throw new Error("no slot");
    await Promise.all([worker.call("releaseSlot", gone.slot), worker.call("releaseSlot", gone.slot)]);
    await worker.call("releaseSlot", gone.slot);
    await expect(access(gone.netnsPath)).rejects.toThrow();
    expect(await world.inRouter("ip", "-o", "link")).not.toContain(`slot${gone.slot}@`);
    expect(await world.inRouter("nft", "list", "table", "inet", "sallyport")).not.toContain(`"slot${gone.slot}"`);
    await expect(worker.call("applyPolicy", gone.slot, compile("open", []))).rejects.toMatchObject({
      code: "NoSuchSlot",
    });
    expect((await acquire(worker)).slot).not.toBe(gone.slot);
    expect(await worker.call("boundSlots")).toHaveLength(3);
  });

  it("leave no chain or set behind, whatever the order of policies", async () => {
    const worker = await started({ poolSize: 0 });
    const empty = await world.inRouter("nft", "list", "table", "inet", "sallyport");
    const slot = await acquire(worker);
    const lists = [["198.51.100.0/24"], ["2001:db8::/32", "198.51.100.0/25"], [], ["10.0.0.0/8"]];
    for (const allow of lists) await worker.call("applyPolicy", slot.slot, compile({ allow }, ["10.0.0.0/8"]));
    await worker.call("applyPolicy", slot.slot, compile("open", []));
    await worker.call("applyPolicy", slot.slot, compile({ allow: ["198.51.100.0/24"] }, []));
    await worker.call("releaseSlot", slot.slot);
    const after = await world.inRouter("nft", "list", "table", "inet", "sallyport");
    const plain = (text: string): string => text.replace(/packets \d+ bytes \d+/g, "");
    expect(plain(after)).toBe(plain(empty));
  });

  it("get their addresses back after a runtime took them", async () => {
    const worker = await started();
    const slot = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile("open", []));
    const port = await world.agent(world.farPath).call<number>("serve");
    await run(["nsenter", `--net=${slot.netnsPath}`, "ip", "addr", "flush", "dev", "eth0"]);
    const agent = world.agent(slot.netnsPath);
    expect(await agent.call("tcp", FAR.listed4, port, SILENCE_MS)).not.toBe("open");
    await worker.call("readdress", slot.slot);
    expect(await agent.call("tcp", FAR.listed4, port, 2000)).toBe("open");
    expect(await agent.call("tcp", FAR.listed6, port, 2000)).toBe("open");
  });
});

describe("after kill -9 of the worker", () => {
  it("sandboxes go on, and the next worker adopts them with their policies", async () => {
    const worker = await started();
    const slot = await acquire(worker);
    const blocked = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile({ allow: ["198.51.100.0/25", "2001:db8::/32"] }, []));
    const port = await world.agent(world.farPath).call<number>("serve");
    const agent = world.agent(slot.netnsPath);
    const inside = await agent.call<number>("serve");
    const flow = await agent.call<number>("hold", FAR.listed4, port);
    const gateway = world.agent(world.routerPath, GATEWAY_UID);
    const session = await gateway.call<number>("hold", slot.ipv6, inside);
    await worker[Symbol.asyncDispose]();
    expect(await agent.call("echo", flow, "orphaned", 2000)).toBe(true);

    const next = world.worker();
    expect(new Set(await next.call<number[]>("start"))).toEqual(new Set([slot.slot, blocked.slot]));
    expect(await next.call("adoptSlot", slot.slot)).toEqual(slot);
    expect(await next.call("adoptSlot", 9999)).toBeUndefined();
    expect(await agent.call("echo", flow, "adopted", 2000)).toBe(true);
    expect(await gateway.call("echo", session, "adopted", 2000)).toBe(true);
    expect(await agent.call("tcp", FAR.unlisted4, port, SILENCE_MS)).not.toBe("open");
    expect(await agent.call("tcp", FAR.unlisted6, port, 2000)).toBe("open");
    expect(await world.agent(blocked.netnsPath).call("tcp", FAR.listed4, port, SILENCE_MS)).not.toBe("open");
    await next.call("applyPolicy", slot.slot, compile("blocked", []));
    expect(await agent.call("echo", flow, "blocked", SILENCE_MS)).toBe(false);
    // Prepared slots of the first worker are gone; those of the second have other numbers.
    const numbers = new Set([slot.slot, blocked.slot]);
    expect(numbers).not.toContain((await acquire(next)).slot);
    await expect.poll(async () => (await namespaces()).length, { timeout: 5000 }).toBe(1 + 3 + 2);
  });

  it("and a flush of the host's rules nothing opens; the next worker mends it", async () => {
    const worker = await started();
    const slot = await acquire(worker);
    const blocked = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile("open", []));
    const farPort = await world.agent(world.farPath).call<number>("serve");
    const host = world.agent(world.hostPath);
    const hostPort = await host.call<number>("serve");
    const agent = world.agent(slot.netnsPath);
    const inside = await agent.call<number>("serve");
    await worker[Symbol.asyncDispose]();
    await world.inHost("nft", "flush", "ruleset");
    await world.inHost("ip", "route", "add", "100.64.0.0/10", "dev", `spu${world.tag}`);
    const shut = [
      agent.call("tcp", HOST.ipv4, hostPort, SILENCE_MS),
      agent.call("tcp", HOST.ipv6, hostPort, SILENCE_MS),
      agent.call("tcp", HOST.private4, hostPort, SILENCE_MS),
      agent.call("tcp", FAR.private4, farPort, SILENCE_MS),
      agent.call("tcp", FAR.metadata, farPort, SILENCE_MS),
      world.agent(blocked.netnsPath).call("tcp", FAR.listed4, farPort, SILENCE_MS),
      host.call("tcp", slot.ipv4, inside, SILENCE_MS),
      host.call("tcp", slot.ipv6, inside, SILENCE_MS),
    ];
    expect(await Promise.all(shut)).not.toContain("open");
    const next = await started();
    expect(await next.call("boundSlots")).toHaveLength(2);
    expect(await agent.call("tcp", FAR.listed4, farPort, 2000)).toBe("open");
    expect(await agent.call("tcp", FAR.listed6, farPort, 2000)).toBe("open");
  });
});

describe("rules", () => {
  it("that vanish from the router or the host come back, and the owner hears of it", async () => {
    // No slot is made meanwhile: its rules would find the others gone, and bring all of them back.
    const worker = await started({ poolSize: 0 });
    const slot = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile({ allow: ["198.51.100.0/25"] }, []));
    await world.inRouter("nft", "flush", "ruleset");
    await world.inHost("nft", "delete", "table", "inet", `sallyport_${world.tag}`);
    await expect
      .poll(() => worker.call<string[]>("events"), { timeout: 5000 })
      .toEqual(expect.arrayContaining(["lost", "restored", "host table was gone, loaded again"]));
    const port = await world.agent(world.farPath).call<number>("serve");
    const agent = world.agent(slot.netnsPath);
    expect(await agent.call("tcp", FAR.listed4, port, 2000)).toBe("open");
    expect(await agent.call("tcp", FAR.unlisted4, port, SILENCE_MS)).not.toBe("open");
  });

  it("are noticed where only a chain was emptied", async () => {
    const worker = await started({ poolSize: 0 }); // as above
    await watchRound();
    expect(await worker.call("events")).toEqual([]);
    await world.inRouter("nft", "flush", "chain", "inet", "sallyport", "forward");
    await expect.poll(() => worker.call<string[]>("events"), { timeout: 5000 }).toContain("restored");
  });

  it("survive the death of the helper", async () => {
    const worker = await started();
    const slot = await acquire(worker);
    for (const pid of await helperPids(worker.pid)) process.kill(pid, "SIGKILL");
    await worker.call("applyPolicy", slot.slot, compile("open", []));
    const port = await world.agent(world.farPath).call<number>("serve");
    expect(await world.agent(slot.netnsPath).call("tcp", FAR.listed4, port, 2000)).toBe("open");
  });

  it("that cannot be loaded let nothing start, and what ran goes on as it was", async () => {
    const worker = await started();
    const slot = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile({ allow: ["198.51.100.0/25"] }, []));
    const port = await world.agent(world.farPath).call<number>("serve");
    await worker[Symbol.asyncDispose]();
    await expect(started({ helper: "/bin/false" })).rejects.toMatchObject({ code: "SetupFailed" });
    await expect(started({ helper: "/nonexistent/helper" })).rejects.toMatchObject({ code: "SetupFailed" });
    const agent = world.agent(slot.netnsPath);
    expect(await agent.call("tcp", FAR.listed4, port, 2000)).toBe("open");
    expect(await agent.call("tcp", FAR.unlisted4, port, SILENCE_MS)).not.toBe("open");
  });
});

/** Waits until the watch has gone round: it looks after forwarding after the router's rules. */
async function watchRound(): Promise<void> {
  await world.inHost("sysctl", "-q", "-w", "net.ipv4.ip_forward=0");
  await expect.poll(() => world.inHost("sysctl", "-n", "net.ipv4.ip_forward"), { timeout: 5000 }).toBe("1\n");
}

async function childrenOf(parent: number): Promise<number[]> {
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8");
  return children.split(" ").filter(Boolean).map(Number);
}

/** Those that are neither gone nor dead and waiting for somebody to read their exit code. */
async function stillRunning(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "gone) Z")));
  return pids.filter((_, index) => !/\) [ZX]/.test(states[index] ?? ""));
}

async function helperPids(parent: number): Promise<number[]> {
  const children = await childrenOf(parent);
  // Some live only for a moment.
  const commands = await Promise.all(children.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return children.filter((_, index) => commands[index]?.includes("sallyport-nft"));
}

describe("the host", () => {
  const SWITCHES = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.ext0.accept_ra",
    "net.ipv4.tcp_migrate_req",
  ];

  async function snapshot(): Promise<string> {
    const parts = [
      await world.inHost("sysctl", "-a", "-r", "forwarding|ip_forward$|accept_ra$|accept_redirects|tcp_migrate_req"),
      await world.inHost("nft", "list", "ruleset"),
      await world.inHost("ip", "-o", "link"),
      await world.inHost("ip", "-o", "addr"),
    ];
    return parts.join("\n").replace(/ tentative/g, "");
  }

  it("is after teardown as it was before, Docker's closed chains included", async () => {
    await world.inHost("sysctl", "-q", "-w", "net.ipv4.ip_forward=0", "net.ipv6.conf.ext0.accept_ra=1");
    for (const family of ["ip", "ip6"]) {
      await world.inHost("nft", `add table ${family} filter`);
      await world.inHost(
        "nft",
        `add chain ${family} filter FORWARD { type filter hook forward priority 0; policy drop; }`,
      );
    }
    await world.inHost("nft", "add chain ip filter DOCKER-USER");
    await world.inHost("nft", "add rule ip filter FORWARD jump DOCKER-USER");
    const before = await snapshot();
    const worker = await started();
    expect(await world.inHost("sysctl", "-n", ...SWITCHES)).toBe("1\n1\n2\n1\n");
    const slot = await acquire(worker);
    await worker.call("applyPolicy", slot.slot, compile("open", []));
    const port = await world.agent(world.farPath).call<number>("serve");
    expect(await world.agent(slot.netnsPath).call("tcp", FAR.listed4, port, 2000)).toBe("open");
    expect(await world.agent(slot.netnsPath).call("tcp", FAR.listed6, port, 2000)).toBe("open");
    await worker.call("teardown");
    expect(await snapshot()).toBe(before);
    expect(await namespaces()).toEqual([]);
    expect(await helperPids(worker.pid)).toEqual([]);
    await expect(access(`${world.stateDirectory}/network`)).rejects.toThrow();
    await worker.call("remove");
  });

  it("is cleaned after a crash too, with nothing started", async () => {
    const before = await snapshot();
    const worker = await started();
    await acquire(worker);
    const children = await childrenOf(worker.pid);
    expect(children.length).toBeGreaterThanOrEqual(3);
    await worker[Symbol.asyncDispose]();
    // The two helpers and the address monitor end with it, though nobody told them.
    await expect.poll(() => stillRunning(children), { timeout: 5000 }).toEqual([]);
    await world.worker().call("remove");
    expect(await snapshot()).toBe(before);
    expect(await namespaces()).toEqual([]);
  });

  it("does not begin to forward between its other interfaces", async () => {
    await run([
      "ip",
      "link",
      "add",
      "lan0",
      "netns",
      world.hostNetns,
      "type",
      "veth",
      "peer",
      "name",
      "lan0",
      "netns",
      world.farNetns,
    ]);
    await world.inHost("ip", "addr", "add", "10.88.0.1/24", "dev", "lan0");
    await world.inHost("ip", "link", "set", "lan0", "up");
    await started();
    const set = await world.inHost("nft", "list", "table", "inet", `sallyport_${world.tag}`);
    expect(set).toMatch(/closed4 \{[^}]*"ext0"[^}]*"lan0"|closed4 \{[^}]*"lan0"[^}]*"ext0"/);
  });
});
