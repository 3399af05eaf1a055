// The host's side of the rules as text: a table of our own, and two lines in Docker's chain where that would drop us.

import type { PlatformNames, UplinkAddresses } from "./addresses.ts";
import { member, type NftObject } from "./apply.ts";
import { IDLE_CONNECTION_S } from "./connection-room.ts";

export interface HostTable {
  readonly names: PlatformNames;
  readonly uplink: UplinkAddresses;
  /** Interfaces that did not forward among themselves before we switched forwarding on. */
  readonly closed: Readonly<Record<"ipv4" | "ipv6", readonly string[]>>;
  /** So many of the machine's connections may be all slots' together. */
  readonly connections: number;
}

/** Chains of the table. */
export const HOST_CHAINS = 6;

/** Connections in one of the lists that they are counted in: the kernel reads a whole list for each new connection. */
const COUNTED_IN_ONE = 128;
const MAX_LISTS = 65_536;

/** The whole table, in place of whatever is there. Without it nothing opens: the router holds by itself. */
export function renderHostTable({ names, uplink, closed, connections }: HostTable): string {
  const link = `"${names.hostLink}"`;
  const lists = Math.min(MAX_LISTS, Math.ceil(connections / COUNTED_IN_ONE));
  // Which list one comes to is left to chance: nobody can fill those of others.
  const list = `numgen random mod ${lists}`;
  return `table inet ${names.hostTable}
delete table inet ${names.hostTable}
table inet ${names.hostTable} {
${nameSet("closed4", closed.ipv4)}
${nameSet("closed6", closed.ipv6)}
  set connections { typeof ${list}; size ${MAX_LISTS}; flags dynamic; }
${idleTimeout("idle4", "ip")}
${idleTimeout("idle6", "ip6")}
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname ${link} goto from_router
    oifname ${link} goto to_router
    meta nfproto ipv4 iifname @closed4 oifname @closed4 drop
    meta nfproto ipv6 iifname @closed6 oifname @closed6 drop
  }
  chain from_router {
    ip saddr ${uplink.routerIpv4} goto leaving
    ip6 saddr ${uplink.routerIpv6} goto leaving
    drop
  }
  chain to_router {
    ct state established,related accept
    drop
  }
  chain leaving {
    ct status confirmed accept
    meta nfproto ipv4 meta l4proto tcp ct timeout set "idle4"
    meta nfproto ipv6 meta l4proto tcp ct timeout set "idle6"
    add @connections { ${list} ct count over ${Math.ceil(connections / lists)} } counter drop
    accept
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname ${link} icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
    iifname ${link} drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != ${link} ip saddr ${uplink.routerIpv4} masquerade
    oifname != ${link} ip6 saddr ${uplink.routerIpv6} masquerade
  }
}
`;
}

export function renderRemoveHostTable(names: PlatformNames): string {
  return `table inet ${names.hostTable}\ndelete table inet ${names.hostTable}\n`;
}

/** The machine forgets idle connections of slots when the router does, and not after the days that are its own habit. */
function idleTimeout(name: string, family: "ip" | "ip6"): string {
  return `  ct timeout ${name} {
    protocol tcp
    l3proto ${family}
    policy = { established: ${IDLE_CONNECTION_S} }
  }`;
}

const INTERFACE_NAME = /^[A-Za-z0-9_.@:+-]{1,15}$/;

/** Interface names are the machine's words: one that nft could read as something else is left out. */
function nameSet(name: string, links: readonly string[]): string {
  const plain = links.filter((link) => INTERFACE_NAME.test(link)).map((link) => `"${link}"`);
  const elements = plain.length === 0 ? "" : ` elements = { ${plain.join(", ")} }`;
  return `  set ${name} { type ifname;${elements} }`;
}

/** A chain that would drop what our own table lets pass, and the chain in which to say otherwise. */
export interface ForeignChain {
  readonly family: "ip" | "ip6";
  readonly table: string;
  readonly name: string;
}

/** Where Docker, or another user of iptables, forwards nothing by default. From `list chains`. */
export function foreignChains(found: readonly NftObject[]): ForeignChain[] {
  const chains = found.map((entry) => member(entry, "chain")).filter((chain) => chain?.["table"] === "filter");
  return (["ip", "ip6"] as const).flatMap((family) => {
    const own = chains.filter((chain) => chain?.["family"] === family);
    const drops = own.some((chain) => chain?.["name"] === "FORWARD" && chain["policy"] === "drop");
    if (!drops) return [];
    const name = own.some((chain) => chain?.["name"] === "DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
    return [{ family, table: "filter", name }];
  });
}

/** Where we may ever have spoken, whatever the policies are by now. From `list chains`. */
export function possibleForeignChains(found: readonly NftObject[]): ForeignChain[] {
  return found.flatMap((entry) => {
    const chain = member(entry, "chain");
    const { family, table, name } = { family: chain?.["family"], table: chain?.["table"], name: chain?.["name"] };
    if ((family !== "ip" && family !== "ip6") || table !== "filter") return [];
    return name === "FORWARD" || name === "DOCKER-USER" ? [{ family, table, name }] : [];
  });
}

/**
 * Accepts both directions of the uplink there; our own table has the last word on what may come in. Only matches that
 * iptables-nft can read back: it refuses a whole table that holds others, such as `ct state`.
 */
export function renderForeignRules(chain: ForeignChain, names: PlatformNames): string {
  const at = `${chain.family} ${chain.table} ${chain.name}`;
  return ["iifname", "oifname"]
    .map((side) => `insert rule ${at} ${side} "${names.hostLink}" accept comment "${names.hostTable}"\n`)
    .join("");
}

/** Handles of our rules in a foreign chain, from `list chain`. */
export function ourHandles(found: readonly NftObject[], names: PlatformNames): number[] {
  return found.flatMap((entry) => {
    const rule = member(entry, "rule");
    const handle = rule?.["handle"];
    return rule?.["comment"] === names.hostTable && typeof handle === "number" ? [handle] : [];
  });
}
