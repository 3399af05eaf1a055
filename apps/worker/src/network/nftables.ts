// The router's rules as text. Pure: what a reader of this file sees is what the kernel is told. What a single slot adds is
// in `slot-rules.ts`, look-ups are in `look-ups.ts`.

import { NEVER_REACHABLE } from "@sallyport/policy";
import { SLOT_COUNT, UPLINK_NAME } from "./addresses.ts";
import { DENIAL_GROUP, type DenialPrefix } from "./denial-words.ts";
import { LOOK_UP_RULES, lookUpChains, type ResolverOptions } from "./look-ups.ts";
import { type AddressRange, joined } from "./reach.ts";
import type { SlotLimits } from "./slot-limits.ts";
import { DENY_IN, DENY_OUT, DENY_PACKETS, PASS_OUT, RETURNING, type RouterSlot } from "./slot-rules.ts";
import { renderRange, renderSlot } from "./slot-text.ts";

export const ROUTER_TABLE = "sallyport";

/** Denied packets that are logged: of one slot, and of all together. What is beyond is only counted. */
const LOGGED_PER_SLOT = "limit rate 20/second burst 40 packets";
const LOGGED_IN_ALL = "rate 2000/second burst 2000 packets";
/** Denied packets of one slot that get an answer; what is beyond is dropped in silence. */
const ANSWERED_PER_SLOT = "limit rate 50/second burst 100 packets";
/** Of how many seconds the connections may come at once. */
const OPENINGS_AT_ONCE_S = 1;

export interface RouterTable {
  readonly gatewayUid: number;
  /** Nobody answers look-ups where it is unset. */
  readonly resolver?: ResolverOptions | undefined;
  readonly limits: SlotLimits;
  /** The machines' and the platform's own addresses, as CIDRs of either family. */
  readonly ownAddresses: readonly string[];
  readonly slots: readonly RouterSlot[];
}

const ND = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255";

/** The whole table, in place of whatever is there: one transaction. */
export function renderTable(table: RouterTable): string {
  const { gatewayUid, limits } = table;
  const never = neverRanges(table.ownAddresses);
  return `table inet ${ROUTER_TABLE}
delete table inet ${ROUTER_TABLE}
table inet ${ROUTER_TABLE} {
  # The slot whose source an address is, and to which connections its packets may belong.
  map from4 { type ipv4_addr : verdict; size ${SLOT_COUNT}; }
  map from6 { type ipv6_addr : verdict; size ${SLOT_COUNT}; }
  map life { type ifname : mark; }
  map entry { type ifname : mark; }
  set live { type ifname . mark; }
  # The slot's own chains, by direction and the life that a connection began in: one that is over leads nowhere.
  map egress { type mark : verdict; size ${SLOT_COUNT}; }
  map ingress { type mark : verdict; size ${SLOT_COUNT}; }
${neverSet(4, never[4])}
${neverSet(6, never[6])}

  # All that was denied, exactly; and of how much of it is told. What a slot used up is forgotten after it is gone.
  set denials { type ifname; counter; }
  set logged { type ifname; size 65536; flags dynamic, timeout; timeout 1m; }
  set answered { type ifname; size 65536; flags dynamic, timeout; timeout 1m; }
  limit logged_in_all { ${LOGGED_IN_ALL}; }
  set openings { type ifname; size 65536; flags dynamic, timeout; timeout 1m; }
  set connections { type ifname; size 65536; flags dynamic; }

  chain answer {
    meta l4proto tcp reject with tcp reset
    meta l4proto udp reject
    reject with icmpx type admin-prohibited
  }
  chain refuse {
    iifname @denials continue
    update @answered { iifname ${ANSWERED_PER_SLOT} } goto answer
    drop
  }
${denyChain("deny_never", "never", "refuse")}
${denyChain(DENY_OUT, "policy", "refuse", ["ct state related drop"])}
${denyChain("deny_look_up", "look-up", "refuse")}
${denyChain("deny_connections", "connections", "refuse")}
${denyChain("deny_openings", "rate", "refuse")}
  chain count {
    iifname @denials drop
  }
${denyChain(DENY_PACKETS, "rate", "count")}
}
${lookUpChains(ROUTER_TABLE, table.resolver)}table inet ${ROUTER_TABLE} {
  # Before connection tracking: a forged source leaves no trace at all, and a flood as little as can be.
  chain prerouting {
    # Also before fragments are put together (-400): no piece of one slot becomes part of what another sends.
    type filter hook prerouting priority -450; policy drop;
    iifname "${UPLINK_NAME}" accept
    ${LOOK_UP_RULES.prerouting.join("\n    ")}
    ip saddr vmap @from4
    ip6 saddr vmap @from6
    iifname "lo" accept
    counter
  }

  # To the router itself: only answers to the gateway, and look-ups.
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ${ND} accept
    ct direction reply ct state { established, related } iifname . ct mark @live accept
    iifname "${UPLINK_NAME}" counter drop
    ct state new ct mark set iifname map @life
    ${LOOK_UP_RULES.input.join("\n    ")}
    iifname . ct mark @live goto deny_never
    counter
  }

  # From the router itself: only the gateway's user opens connections. A packet of a socket that is anybody else's is
  # dropped; packets of no socket (resets, last acknowledgements) pass where they belong to the gateway's connections,
  # and so do answers to what was denied.
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    ${ND} accept
    oifname "${UPLINK_NAME}" drop
    ct state related oifname . ct mark @live accept
    ${LOOK_UP_RULES.output.join("\n    ")}
    meta skuid != ${gatewayUid} drop
    ct state new meta skuid ${gatewayUid} ct mark set oifname map @entry
    ct state { new, established } oifname . ct mark @live accept
    counter
  }

  # Through the router. Only what is named passes; a packet without tracked connection matches nothing here.
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "${UPLINK_NAME}" goto inbound
    ct state new ct mark set iifname map @life
    ct state new,established,related goto outbound
    counter
  }
  # Established or not, every packet passes the policy: a tighter one cuts at once, in both directions.
  chain outbound {
    oifname != "${UPLINK_NAME}" goto deny_never
    ip daddr @never4 goto deny_never
    ip6 daddr @never6 goto deny_never
    ct mark vmap @egress
    counter drop
  }
  # Whatever passed once has been counted: a flow that nobody answers stays new for the kernel.
  chain ${PASS_OUT} {
    ct status confirmed accept
    update @openings { iifname ${rateOver(limits.newConnectionsPerSecond, OPENINGS_AT_ONCE_S)} } goto deny_openings
    add @connections { iifname ct count over ${limits.connections} } goto deny_connections
    accept
  }
  chain inbound {
    ct direction reply ct mark vmap @ingress
    counter drop
  }
  # Errors of routers on the way come from addresses that no policy names.
  chain ${RETURNING} {
    ct state related accept
    ip saddr @never4 drop
    ip6 saddr @never6 drop
  }
  chain ${DENY_IN} {
    counter drop
  }

  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${UPLINK_NAME}" masquerade
  }
}
${table.slots.map((slot) => renderSlot(ROUTER_TABLE, slot, limits.packetsPerSecond)).join("")}`;
}

/** What no slot reaches, whatever its policy, with the machines' and the platform's own addresses. */
export function neverRanges(ownAddresses: readonly string[]): Readonly<Record<4 | 6, readonly AddressRange[]>> {
  const all = [...NEVER_REACHABLE.map((row) => row.cidr), ...ownAddresses];
  return { 4: joined(4, all), 6: joined(6, all) };
}

/** Tells of a denied packet, where the rates allow it, and goes on to what becomes of it. */
function denyChain(name: string, prefix: DenialPrefix, next: string, first: readonly string[] = []): string {
  const log = `log prefix "${prefix}" group ${DENIAL_GROUP} snaplen 80`;
  return `  chain ${name} {
${first.map((rule) => `    ${rule}\n`).join("")}    update @logged { iifname ${LOGGED_PER_SLOT} } limit name "logged_in_all" ${log}
    goto ${next}
  }`;
}

function rateOver(perSecond: number, atOnceS: number): string {
  return `limit rate over ${perSecond}/second burst ${Math.ceil(perSecond * atOnceS)} packets`;
}

function neverSet(family: 4 | 6, ranges: readonly AddressRange[]): string {
  const elements = ranges.map((range) => renderRange(family, range)).join(", ");
  return `  set never${family} { type ipv${family}_addr; flags interval; elements = { ${elements} } }`;
}
