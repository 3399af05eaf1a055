// Test program: a worker's network and nothing else of a worker, in the namespace that plays the host.
// Argument: options as JSON.

import { silentLogger } from "@sallyport/appkit/logger";
import { compile, type NetworkRules, parsePolicy } from "@sallyport/policy";
import type { WorkerNetwork, WorkerNetworkOptions } from "../../src/network/contract.ts";
import { startWorkerNetwork } from "../../src/network/network.ts";
import { removeWorkerNetwork } from "../../src/network/removal.ts";
import { answerCalls } from "./child.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as Omit<WorkerNetworkOptions, "logger">;
const events: string[] = [];
const timings: Record<string, number[]> = {};
let network: WorkerNetwork | undefined;

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

answerCalls({
  start: async () => {
    network = await startWorkerNetwork({
      ...options,
      logger,
      onRulesLost: async () => {
        events.push("lost");
      },
      onRulesRestored: async () => {
        events.push("restored");
      },
    });
    return network.boundSlots();
  },
  acquireSlot: () => running().acquireSlot(),
  adoptSlot: (slot: number) => running().adoptSlot(slot),
  boundSlots: () => running().boundSlots(),
  applyPolicy: (slot: number, rules: NetworkRules) => running().applyPolicy({ slot }, rules),
  /** As users write it, without grants. */
  setPolicy: (slot: number, policy: unknown) => running().applyPolicy({ slot }, compile(parsePolicy(policy), [])),
  readdress: (slot: number) => running().readdress({ slot }),
  releaseSlot: (slot: number) => running().releaseSlot(slot),
  teardown: () => running().teardown(),
  remove: () => removeWorkerNetwork(options),
  dispose: () => running()[Symbol.asyncDispose](),
  events: () => events,
  timings: () => timings,
});
