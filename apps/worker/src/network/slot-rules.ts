// What the router holds for one slot: its elements of the shared sets, and sets and chains of its own. Pure data, of which
// `slot-text.ts` makes nft text and `slot-messages.ts` what the kernel reads.
//
// Sets and chains last as long as the slot. A policy is what its sets hold: another one changes elements, and neither
// chains nor verdicts, whose change makes the kernel walk through the rules of all slots.

import type { NetworkRules } from "@sallyport/policy";
import type { SlotAddresses } from "./addresses.ts";
import { askerKeys } from "./look-ups.ts";
import type { Side } from "./netlink/nft-expressions.ts";
import { type AddressRange, type Box, type FamilyReach, reachOf, sameBoxes, sameRanges } from "./reach.ts";

/** A slot as the router knows it. */
export interface RouterSlot {
  readonly addresses: SlotAddresses;
  /**
   * Connection mark of this life of the slot, 1 to 2^31 - 1: entries of an earlier life carry another one and match
   * nothing.
   */
  readonly mark: number;
  readonly rules: NetworkRules;
}

/** Connections that the gateway opens into a slot carry its mark with this bit: what ends a slot's own spares them. */
export const ENTRY_BIT = 0x8000_0000;

export type KeyPart =
  | { readonly kind: "link"; readonly value: string }
  | { readonly kind: "address"; readonly value: string }
  | { readonly kind: "mark"; readonly value: number };

/** An element of a set or map that all slots share. */
export interface SharedElement {
  readonly set: string;
  readonly key: readonly KeyPart[];
  /** For a map to verdicts: the chain that the packet goes on in. */
  readonly chain?: string;
  /** For a map to marks. */
  readonly mark?: number;
}

export type SlotSet = { readonly name: string; readonly family: 4 | 6 } & (
  | { readonly kind: "addresses"; readonly ranges: readonly AddressRange[] }
  /** Address, protocol and port of the other side. */
  | { readonly kind: "boxes"; readonly boxes: readonly Box[] }
);

export interface LookUpRule {
  readonly set: Pick<SlotSet, "name" | "family" | "kind">;
  readonly side: Side;
  readonly chain: string;
}

export interface SlotChain {
  readonly name: string;
  readonly rules: readonly LookUpRule[];
  /** Where a packet goes on that no rule takes. */
  readonly otherwise: string;
}

/** Chains of the table that a slot's chains lead to. */
export const PASS_OUT = "pass_out";
export const PASS_IN = "pass_in";
export const DENY_OUT = "deny_policy";
export const DENY_IN = "drop_in";

export function sharedElements({ addresses, mark, rules }: RouterSlot): SharedElement[] {
  const link: KeyPart = { kind: "link", value: addresses.routerLink };
  const at = (address: string): KeyPart[] => [link, { kind: "address", value: address }];
  const entry = (mark | ENTRY_BIT) >>> 0;
  return [
    { set: "bind4", key: at(addresses.ipv4) },
    { set: "bind6", key: at(addresses.ipv6) },
    { set: "life", key: [link], mark },
    { set: "entry", key: [link], mark: entry },
    { set: "live", key: [link, { kind: "mark", value: mark }] },
    { set: "live", key: [link, { kind: "mark", value: entry }] },
    { set: "denials", key: [link] },
    { set: "egress", key: [link], chain: chainName("out", addresses) },
    { set: "ingress", key: [link], chain: chainName("in", addresses) },
    ...lookUpElements({ addresses, rules }),
  ];
}

/** Those that let the slot ask the resolver: they come and go with its mode. */
export function lookUpElements({ addresses, rules }: Pick<RouterSlot, "addresses" | "rules">): SharedElement[] {
  return rules.mode === "open" ? askerKeys(addresses) : [];
}

export function slotSets({ addresses, rules }: Pick<RouterSlot, "addresses" | "rules">): SlotSet[] {
  const reach = reachOf(rules);
  const whole = (family: 4 | 6, { whole: ranges }: FamilyReach): SlotSet => {
    return { name: `reach${family}_${addresses.slot}`, family, kind: "addresses", ranges };
  };
  const boxes = (family: 4 | 6, found: FamilyReach): SlotSet => {
    return { name: `ports${family}_${addresses.slot}`, family, kind: "boxes", boxes: found.boxes };
  };
  return [whole(4, reach[4]), whole(6, reach[6]), boxes(4, reach[4]), boxes(6, reach[6])];
}

/** Two chains: for what the slot sends, by destination; for what comes back, by source. */
export function slotChains(slot: Pick<RouterSlot, "addresses" | "rules">): SlotChain[] {
  const sets = slotSets(slot);
  const lookUps = (side: Side, chain: string): LookUpRule[] => sets.map((set) => ({ set, side, chain }));
  return [
    { name: chainName("out", slot.addresses), rules: lookUps("daddr", PASS_OUT), otherwise: DENY_OUT },
    { name: chainName("in", slot.addresses), rules: lookUps("saddr", PASS_IN), otherwise: DENY_IN },
  ];
}

/** The sets whose elements differ, as they are to be. */
export function changedSets(before: RouterSlot, after: RouterSlot): SlotSet[] {
  const old = slotSets(before);
  return slotSets(after).filter((set, at) => !sameElements(set, old[at]));
}

function sameElements(set: SlotSet, other: SlotSet | undefined): boolean {
  if (set.kind === "addresses") return other?.kind === "addresses" && sameRanges(set.ranges, other.ranges);
  return other?.kind === "boxes" && sameBoxes(set.boxes, other.boxes);
}

function chainName(direction: "out" | "in", { slot }: SlotAddresses): string {
  return `${direction}_${slot}`;
}
