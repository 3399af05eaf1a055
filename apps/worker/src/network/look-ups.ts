// The rules of look-ups: which slots may ask the resolver at their router's address, how often, and who may answer.

import type { SlotAddresses } from "./addresses.ts";
import type { SharedElement } from "./slot-rules.ts";

/** Packets for one query, at most: repeats, and the segments of a TCP connection. */
const PACKETS_PER_QUERY = 4;

export interface ResolverOptions {
  /** The user who made the resolver's sockets, and alone may send from them. */
  readonly uid: number;
  /** Queries per second of one slot; beyond four times as many packets nothing of it reaches the resolver. */
  readonly queriesPerSecond: number;
}

/**
 * Sets and chains. Look-ups are not tracked: a slot that floods fills no table of connections, and a slot that may no
 * longer ask is cut off with its element. Slots that may not ask are refused at once, by the table's own chain for it, so
 * that programs fail fast.
 */
export function lookUpChains(table: string, resolver: ResolverOptions | undefined): string {
  const most = (resolver?.queriesPerSecond ?? 1) * PACKETS_PER_QUERY;
  return `table inet ${table} {
  set askers4 { type ifname . ipv4_addr . ipv4_addr; }
  set askers6 { type ifname . ipv6_addr . ipv6_addr; }
  set look_up_rates { type ifname; size 65536; flags dynamic, timeout; timeout 1m; }
  chain look_ups {
    iifname . ip saddr . ip daddr @askers4 goto untracked_look_ups
    iifname . ip6 saddr . ip6 daddr @askers6 goto untracked_look_ups
  }
  chain untracked_look_ups {
    update @look_up_rates { iifname limit rate over ${most}/second burst ${most} packets } counter drop
    notrack accept
  }
  chain look_ups_in {
    ct state untracked iifname . ip saddr . ip daddr @askers4 accept
    ct state untracked iifname . ip6 saddr . ip6 daddr @askers6 accept
    goto deny_look_up
  }
  chain answers {
    ${resolver === undefined ? "drop" : `meta skuid != ${resolver.uid} drop`}
    tcp flags & (syn | ack) == syn drop
    meta l4proto { tcp, udp } th sport 53 oifname . ip daddr . ip saddr @askers4 accept
    meta l4proto { tcp, udp } th sport 53 oifname . ip6 daddr . ip6 saddr @askers6 accept
    drop
  }
  chain untracked_answers {
    oifname . ip daddr . ip saddr @askers4 notrack
    oifname . ip6 daddr . ip6 saddr @askers6 notrack
  }
  chain answers_raw {
    type filter hook output priority raw; policy accept;
    udp sport 53 jump untracked_answers
    tcp sport 53 jump untracked_answers
  }
}
`;
}

/** Lines of the base chains, each at the place that its name says. */
export const LOOK_UP_RULES = {
  /** Before the slots' own bindings, which accept. */
  prerouting: ["udp dport 53 jump look_ups", "tcp dport 53 jump look_ups"],
  input: ["udp dport 53 jump look_ups_in", "tcp dport 53 jump look_ups_in"],
  /** After the uplink's, before the gateway's: nothing else that goes to slots is untracked. */
  output: ["ct state untracked goto answers"],
} as const;

/** Elements by which a slot may ask: its address, and the router's that it asks. */
export function askerKeys(addresses: SlotAddresses): SharedElement[] {
  const link = { kind: "link", value: addresses.routerLink } as const;
  const at = (address: string) => ({ kind: "address", value: address }) as const;
  return [
    { set: "askers4", key: [link, at(addresses.ipv4), at(addresses.routerIpv4)] },
    { set: "askers6", key: [link, at(addresses.ipv6), at(addresses.routerIpv6)] },
  ];
}
