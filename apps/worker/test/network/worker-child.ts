// Test program: a worker's network and nothing else of a worker, in the namespace that plays the host.
// Argument: options as JSON.

import { silentLogger } from "@sallyport/appkit/logger";
import { compile, type NetworkRules, parsePolicy } from "@sallyport/policy";
import type { WorkerNetwork, WorkerNetworkOptions } from "../../src/network/contract.ts";
import type { DenialDetail } from "../../src/network/denial-book.ts";
import { startNetworkParts } from "../../src/network/network.ts";
import { removeWorkerNetwork } from "../../src/network/removal.ts";
import type { RouterRules } from "../../src/network/rules.ts";
import { answerCalls } from "./child.ts";
import { crowdOf, FIRST_OF_CROWD } from "./crowd.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as Omit<WorkerNetworkOptions, "logger">;
const events: string[] = [];
const denials: { slot: number; details: readonly DenialDetail[] }[] = [];
const addresses: (readonly string[])[] = [];
const timings: Record<string, number[]> = {};
let network: WorkerNetwork | undefined;
let rules: RouterRules | undefined;
let crowd: readonly number[] = [];

const logger = {
  ...silentLogger,
  info: (fields: object, message: string): void => {
    if ("ms" in fields && typeof fields.ms === "number") timings[message] = [...(timings[message] ?? []), fields.ms];
  },
  warn: (_fields: object, message: string): void => {
    events.push(message);
  },
  error: (_fields: object, message: string): void => {
    events.push(message);
  },
};

function running(): WorkerNetwork {
  if (network === undefined) throw new Error("the network is not started");
  return network;
}

/** So many more slots in the router's rules, without cables. The policies, as users write them, are dealt out in turns. */
async function join(count: number, policies: readonly unknown[]): Promise<void> {
  await leave();
  const slots = crowdOf(options.platformId, FIRST_OF_CROWD, count, policies);
  crowd = slots.map(({ addresses }) => addresses.slot);
  for (const slot of slots) await rules?.add(slot);
}

async function leave(): Promise<void> {
  for (const slot of crowd) await rules?.remove(slot);
  crowd = [];
}

answerCalls({
  start: async () => {
    ({ network, rules } = await startNetworkParts({
      ...options,
      logger,
      onDenials: (slot, details) => void denials.push({ slot, details }),
      onMachineAddresses: (cidrs) => void addresses.push(cidrs),
      onRulesLost: async () => {
        events.push("lost");
      },
      onRulesRestored: async () => {
        events.push("restored");
      },
    }));
    return network.boundSlots();
  },
  acquireSlot: () => running().acquireSlot(),
  adoptSlot: (slot: number) => running().adoptSlot(slot),
  boundSlots: () => running().boundSlots(),
  applyPolicy: (slot: number, rules: NetworkRules) => running().applyPolicy({ slot }, rules),
  /** As users write it, without grants. */
  setPolicy: (slot: number, policy: unknown) => running().applyPolicy({ slot }, compile(parsePolicy(policy), [])),
  join,
  leave,
  readdress: (slot: number) => running().readdress({ slot }),
  releaseSlot: (slot: number) => running().releaseSlot(slot),
  teardown: () => running().teardown(),
  remove: () => removeWorkerNetwork(options),
  dispose: () => running()[Symbol.asyncDispose](),
  setFleet: (cidrs: readonly string[]) => running().setFleet(cidrs),
  machineAddresses: () => running().machineAddresses(),
  /** Those told since the start, in order. */
  toldAddresses: () => addresses,
  denials: (slot: number) => denials.filter((one) => one.slot === slot).flatMap((one) => one.details),
  events: () => events,
  timings: () => timings,
});
