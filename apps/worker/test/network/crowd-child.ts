// Test program: many slots in a router's rules, without cables. Started in an empty namespace.
// Argument: `{ platformId, helper, gatewayUid }` as JSON.

import { compile, parsePolicy } from "@sallyport/policy";
import { NftSession } from "../../src/network/apply.ts";
import { RouterRules } from "../../src/network/rules.ts";
import { answerCalls } from "./child.ts";
import { crowdOf } from "./crowd.ts";

const { platformId, helper, gatewayUid } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly platformId: string;
  readonly helper: string;
  readonly gatewayUid: number;
};

const session = new NftSession({ helper });
let rules: RouterRules | undefined;

/** So many slots, in place of whatever the router holds. The policies, as users write them, are dealt out in turns. */
async function load(count: number, policies: readonly unknown[]): Promise<void> {
  rules = new RouterRules({ session, gatewayUid });
  await rules.load(crowdOf(platformId, 0, count, policies), []);
}

/** Milliseconds until the kernel has another policy of one of them. */
async function change(slot: number, policy: unknown): Promise<number> {
  if (rules === undefined) throw new Error("nothing is loaded");
  const next = compile(parsePolicy(policy), []);
  const startedAt = performance.now();
  await rules.setRules(slot, next);
  return performance.now() - startedAt;
}

answerCalls({ load, change });
