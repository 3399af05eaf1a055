// Test program: many slots in a router's rules, without cables. Started inside the router's namespace, or in an empty one.
// Argument: `{ platformId, helper, gatewayUid }` as JSON.

import { compile, type NetworkRules, parsePolicy } from "@sallyport/policy";
import { slotAddresses } from "../../src/network/addresses.ts";
import { NftSession } from "../../src/network/apply.ts";
import { type RouterSlot, renderAddSlot, renderRemoveSlot } from "../../src/network/nftables.ts";
import { RouterRules } from "../../src/network/rules.ts";
import { answerCalls } from "./child.ts";

const { platformId, helper, gatewayUid } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly platformId: string;
  readonly helper: string;
  readonly gatewayUid: number;
};

/** Beyond the numbers that a worker of a test hands out. */
const FIRST_OF_CROWD = 10_000;

const session = new NftSession({ helper });
let rules: RouterRules | undefined;
let crowd: readonly RouterSlot[] = [];

/** So many slots, in place of whatever the router holds. The policies, as users write them, are dealt out in turns. */
async function load(count: number, policies: readonly unknown[]): Promise<void> {
  rules = new RouterRules({ session, gatewayUid });
  await rules.load(newSlots(0, count, policies), []);
}

/** Milliseconds until the kernel has another policy of one of them. */
async function change(slot: number, policy: unknown): Promise<number> {
  if (rules === undefined) throw new Error("nothing is loaded");
  const next = rulesOf(policy);
  const startedAt = performance.now();
  await rules.setRules(slot, next);
  return performance.now() - startedAt;
}

/** Adds slots to the router of a worker, which does not know of them. */
async function join(count: number, policies: readonly unknown[]): Promise<void> {
  await leave();
  const joined = newSlots(FIRST_OF_CROWD, count, policies).map((slot) => ({ ...slot, revision: 0 }));
  await session.apply(joined.map(renderAddSlot).join(""));
  crowd = joined;
}

/** Takes them out again. */
async function leave(): Promise<void> {
  if (crowd.length > 0) await session.apply(crowd.map(renderRemoveSlot).join(""));
  crowd = [];
}

function rulesOf(policy: unknown): NetworkRules {
  return compile(parsePolicy(policy), []);
}

function newSlots(first: number, count: number, policies: readonly unknown[]): Omit<RouterSlot, "revision">[] {
  const kinds = policies.map(rulesOf);
  return Array.from({ length: count }, (_, index) => {
    const kind = kinds[index % kinds.length];
    if (kind === undefined) throw new Error("no policy is given");
    return { addresses: slotAddresses(platformId, first + index), mark: 1_000_000 + first + index, rules: kind };
  });
}

answerCalls({ load, change, join, leave });
