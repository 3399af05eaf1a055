// A network for tests of the other rooms: a namespace per slot, rules that are only remembered. Like the real one it
// finds the slots of an earlier worker again.

import type { SlotNetwork, WorkerNetwork } from "../src/network/index.ts";
import { run } from "../src/system/command.ts";
import { makeNamespace } from "./machine.ts";

export interface FakeNetwork extends WorkerNetwork {
  /** Modes of the rules that were applied, in order. */
  readonly applied: string[];
  /** What was told of the fleet, last. */
  fleet: readonly string[];
  /** While set, rules are refused. */
  refusing: boolean;
}

export async function openFakeNetwork(tag: string): Promise<FakeNetwork> {
  const prefix = `spw${tag}-`;
  const { stdout } = await run(["ip", "netns", "list"]);
  const bound = new Set(
    stdout
      .split("\n")
      .filter((line) => line.startsWith(prefix))
      .map((line) => Number.parseInt(line.slice(prefix.length), 10)),
  );
  let next = Math.max(0, ...bound) + 1;
  const slotOf = (slot: number): SlotNetwork => ({
    slot,
    netnsPath: `/run/netns/${prefix}${slot}`,
    ipv4: "198.51.100.2",
    ipv6: "2001:db8::2",
    routerIpv4: "198.51.100.1",
    routerIpv6: "2001:db8::1",
    interfaceName: "eth0",
  });
  const network: FakeNetwork = {
    applied: [],
    fleet: [],
    refusing: false,
    routerNetnsPath: "",
    async acquireSlot() {
      const slot = next;
      next += 1;
      bound.add(slot);
      await makeNamespace(`${prefix}${slot}`);
      return slotOf(slot);
    },
    adoptSlot: async (slot) => (bound.has(slot) ? slotOf(slot) : undefined),
    boundSlots: () => [...bound],
    async applyPolicy(_slot, rules) {
      if (network.refusing) throw new Error("the kernel refuses");
      network.applied.push(rules.mode);
    },
    machineAddresses: () => ["198.51.100.1/32"],
    async setFleet(cidrs) {
      network.fleet = cidrs;
    },
    async readdress() {},
    async releaseSlot(slot) {
      if (!bound.delete(slot)) return;
      await run(["ip", "netns", "delete", `${prefix}${slot}`]);
    },
    async teardown() {
      for (const slot of bound) await network.releaseSlot(slot);
    },
    async [Symbol.asyncDispose]() {},
  };
  return network;
}
