// What the router holds for one slot: its elements of the shared sets, and sets and chains of its own. Pure data, of which
// `slot-text.ts` makes nft text and `slot-messages.ts` what the kernel reads.
//
// Sets and chains last as long as the slot. A policy is what its sets hold: another one changes elements, and neither
// chains nor verdicts, whose change makes the kernel walk through the rules of all slots.

import type { NetworkRules } from "@sallyport/policy";
import type { SlotAddresses } from "./addresses.ts";
import { askerKeys } from "./look-ups.ts";
import type { Side } from "./netlink/nft-expressions.ts";
import type { Verdict } from "./netlink/nft-messages.ts";
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

/** A rule of a slot's own chain. What it does not take goes on to the next one. */
export type ChainRule =
  /** Drops what did not come, or does not go, by the slot's own cable. */
  | { readonly kind: "cable"; readonly side: "iifname" | "oifname"; readonly link: string }
  /** Takes what is beyond so many packets per second. */
  | { readonly kind: "rate"; readonly perSecond: number; readonly burst: number; readonly verdict: Verdict }
  | {
      readonly kind: "look-up";
      readonly set: Pick<SlotSet, "name" | "family" | "kind">;
      readonly side: Side;
      readonly verdict: Verdict;
    }
  /** Takes what comes so far. */
  | { readonly kind: "all"; readonly verdict: Verdict };

export interface SlotChain {
  readonly name: string;
  readonly rules: readonly ChainRule[];
}

/** Chains of the table that a slot's chains lead to. */
export const PASS_OUT = "pass_out";
export const RETURNING = "returning";
export const DENY_OUT = "deny_policy";
export const DENY_PACKETS = "deny_packets";
export const DENY_IN = "drop_in";
/** Of how many seconds a slot's packets may come at once. */
const PACKETS_AT_ONCE_S = 0.1;

export function sharedElements({ addresses, mark, rules }: RouterSlot): SharedElement[] {
  const link: KeyPart = { kind: "link", value: addresses.routerLink };
  const address = (value: string): KeyPart => ({ kind: "address", value });
  const entry = (mark | ENTRY_BIT) >>> 0;
  return [
    { set: "from4", key: [address(addresses.ipv4)], chain: chainName("from", addresses) },
    { set: "from6", key: [address(addresses.ipv6)], chain: chainName("from", addresses) },
    { set: "life", key: [link], mark },
    { set: "entry", key: [link], mark: entry },
    { set: "live", key: [link, { kind: "mark", value: mark }] },
    { set: "live", key: [link, { kind: "mark", value: entry }] },
    { set: "denials", key: [link] },
    { set: "egress", key: [{ kind: "mark", value: mark }], chain: chainName("out", addresses) },
    { set: "ingress", key: [{ kind: "mark", value: mark }], chain: chainName("in", addresses) },
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

/**
 * Three chains, which hold what is the slot's alone, its rates too: a look-up costs every packet more than a rule does.
 * For what comes from the slot, before anything is known of it; for what it sends, by destination; for what comes back,
 * by source.
 */
export function slotChains(slot: Pick<RouterSlot, "addresses" | "rules">, packetsPerSecond: number): SlotChain[] {
  const { addresses } = slot;
  const sets = slotSets(slot);
  const link = addresses.routerLink;
  const lookUps = (side: Side, verdict: Verdict): ChainRule[] =>
    sets.map((set) => ({ kind: "look-up", set, side, verdict }));
  const rate = (verdict: Verdict): ChainRule => {
    const burst = Math.ceil(packetsPerSecond * PACKETS_AT_ONCE_S);
    return { kind: "rate", perSecond: packetsPerSecond, burst, verdict };
  };
  return [
    {
      name: chainName("from", addresses),
      rules: [
        { kind: "cable", side: "iifname", link },
        rate({ goto: DENY_PACKETS }),
        { kind: "all", verdict: "accept" },
      ],
    },
    {
      name: chainName("out", addresses),
      rules: [...lookUps("daddr", { goto: PASS_OUT }), { kind: "all", verdict: { goto: DENY_OUT } }],
    },
    {
      name: chainName("in", addresses),
      rules: [
        { kind: "cable", side: "oifname", link },
        rate({ goto: DENY_IN }),
        { kind: "all", verdict: { jump: RETURNING } },
        ...lookUps("saddr", "accept"),
        { kind: "all", verdict: { goto: DENY_IN } },
      ],
    },
  ];
}

export function slotChainNames({ addresses }: Pick<RouterSlot, "addresses">): string[] {
  return (["from", "out", "in"] as const).map((direction) => chainName(direction, addresses));
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

function chainName(direction: "from" | "out" | "in", { slot }: SlotAddresses): string {
  return `${direction}_${slot}`;
}
