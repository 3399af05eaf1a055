// Many slots for the router's rules, as data: without namespaces and cables.

import { compile, parsePolicy } from "@sallyport/policy";
import { slotAddresses } from "../../src/network/addresses.ts";
import type { NewSlot } from "../../src/network/rules.ts";

/** Beyond the numbers that a worker of a test hands out. */
export const FIRST_OF_CROWD = 10_000;

/** The policies, as users write them, are dealt out in turns. */
export function crowdOf(platformId: string, first: number, count: number, policies: readonly unknown[]): NewSlot[] {
  const kinds = policies.map((policy) => compile(parsePolicy(policy), []));
  return Array.from({ length: count }, (_, index) => {
    const rules = kinds[index % kinds.length];
    if (rules === undefined) throw new Error("no policy is given");
    return { addresses: slotAddresses(platformId, first + index), mark: 1_000_000 + first + index, rules };
  });
}
