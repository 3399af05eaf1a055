// The router's rules as text. Pure: what a reader of this file sees is what the kernel is told.

import { mergeCidrs, NEVER_REACHABLE, type NetworkRules, PolicyError, PRIVATE, parseCidr } from "@sallyport/policy";
import { type SlotAddresses, UPLINK_NAME } from "./addresses.ts";
import { NetworkError } from "./errors.ts";
import { askerElements, LOOK_UP_RULES, lookUpChains, type ResolverOptions } from "./look-ups.ts";

export const ROUTER_TABLE = "sallyport";
/** Most connections that one slot may hold open to the outside. The router's connection table is everybody's. */
const MAX_CONNECTIONS_PER_SLOT = 8192;

/** A slot as the router knows it. */
export interface RouterSlot {
  readonly addresses: SlotAddresses;
  /** Connection mark of this life of the slot: entries of an earlier life carry another one and match nothing. */
  readonly mark: number;
  readonly rules: NetworkRules;
  /** Part of the names of the slot's own chains and sets, new with every change, so that old and new never meet. */
  readonly revision: number;
}

export interface RouterTable {
  readonly gatewayUid: number;
  /** Nobody answers look-ups where it is unset. */
  readonly resolver?: ResolverOptions | undefined;
  /** The host's and the platform's own addresses, as CIDRs of either family. */
  readonly ownAddresses: readonly string[];
  readonly slots: readonly RouterSlot[];
}

const ND = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255";

/** The whole table, in place of whatever is there: one transaction. */
export function renderTable(table: RouterTable): string {
  const { never4, never6 } = neverSets(table.ownAddresses);
  const privates = mergeCidrs(PRIVATE.map((row) => row.cidr));
  return `table inet ${ROUTER_TABLE}
delete table inet ${ROUTER_TABLE}
${lookUpChains(ROUTER_TABLE, table.resolver)}table inet ${ROUTER_TABLE} {
  set bind4 { type ifname . ipv4_addr; }
  set bind6 { type ifname . ipv6_addr; }
  map life { type ifname : mark; }
  set live { type ifname . mark; }
  map egress { type ifname : verdict; }
  map ingress { type ifname : verdict; }
  set connections { type ifname; size 65536; flags dynamic; }
${intervalSet("never4", "ipv4_addr", never4)}
${intervalSet("never6", "ipv6_addr", never6)}
${intervalSet("private4", "ipv4_addr", privates.v4)}
${intervalSet("private6", "ipv6_addr", privates.v6)}

  # Before connection tracking: a forged source leaves no trace at all.
  chain prerouting {
    # Also before fragments are put together (-400): no piece of one slot becomes part of what another sends.
    type filter hook prerouting priority -450; policy drop;
    iifname { "lo", "${UPLINK_NAME}" } accept
    ${LOOK_UP_RULES.prerouting.join("\n    ")}
    iifname . ip saddr @bind4 accept
    # Neighbour discovery too only from the slot's own address: the machine has one table of neighbours, and it fills.
    iifname . ip6 saddr @bind6 accept
    counter
  }

  # To the router itself: only answers to the gateway, and look-ups.
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ${ND} accept
    ct direction reply ct state { established, related } iifname . ct mark @live accept
    ${LOOK_UP_RULES.input.join("\n    ")}
    counter
  }

  # From the router itself: only the gateway's user opens connections. A packet of a socket that is anybody else's is
  # dropped; packets of no socket (resets, last acknowledgements) pass where they belong to the gateway's connections.
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    ${ND} accept
    ct state related accept
    oifname "${UPLINK_NAME}" drop
    ${LOOK_UP_RULES.output.join("\n    ")}
    meta skuid != ${table.gatewayUid} drop
    ct state new meta skuid ${table.gatewayUid} ct mark set oifname map @life
    ct state { new, established } oifname . ct mark @live accept
    counter
  }

  # Through the router. Only what is named passes; a packet without tracked connection matches nothing here.
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "${UPLINK_NAME}" goto inbound
    oifname != "${UPLINK_NAME}" counter drop
    ct state new ct mark set iifname map @life
    ct state { new, established, related } iifname . ct mark @live goto outbound
    counter
  }
  # Established or not, every packet passes the policy: a tighter one cuts at once, in both directions.
  chain outbound {
    ip daddr @never4 counter drop
    ip6 daddr @never6 counter drop
    ct state new add @connections { iifname ct count over ${MAX_CONNECTIONS_PER_SLOT} } counter drop
    iifname vmap @egress
    drop
  }
  chain inbound {
    ct state { established, related } ct direction reply oifname . ct mark @live oifname vmap @ingress
    counter drop
  }
  chain open_out {
    ip daddr @private4 counter drop
    ip6 daddr @private6 counter drop
    accept
  }
  # Errors of routers on the way come from addresses that no policy names.
  chain open_in {
    ct state related accept
    ip saddr @never4 drop
    ip6 saddr @never6 drop
    ip saddr @private4 drop
    ip6 saddr @private6 drop
    accept
  }

  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "${UPLINK_NAME}" masquerade
  }
}
${table.slots.map(renderAddSlot).join("")}`;
}

/** Rules that the base chains must hold, by chain: what a watcher counts. Kept beside the text above. */
export const BASE_CHAIN_RULES: Readonly<Record<string, number>> = { prerouting: 6, input: 6, output: 9, forward: 5 };

/** A slot joins, with whatever its rules say. */
export function renderAddSlot(slot: RouterSlot): string {
  const { addresses, mark } = slot;
  const name = addresses.routerLink;
  return [
    addElement("bind4", `"${name}" . ${addresses.ipv4}`),
    addElement("bind6", `"${name}" . ${addresses.ipv6}`),
    addElement("life", `"${name}" : ${mark}`),
    addElement("live", `"${name}" . ${mark}`),
    renderVerdicts(slot),
  ].join("");
}

/** Other rules for the same slot. */
export function renderChangeRules(before: RouterSlot, after: RouterSlot): string {
  const name = before.addresses.routerLink;
  return [
    deleteElement("egress", `"${name}"`),
    deleteElement("ingress", `"${name}"`),
    renderNoLookUps(before),
    renderVerdicts(after),
    renderDropVerdictObjects(before),
  ].join("");
}

/** A slot leaves. */
export function renderRemoveSlot(slot: RouterSlot): string {
  const { addresses, mark } = slot;
  const name = addresses.routerLink;
  return [
    deleteElement("egress", `"${name}"`),
    deleteElement("ingress", `"${name}"`),
    renderNoLookUps(slot),
    deleteElement("live", `"${name}" . ${mark}`),
    deleteElement("life", `"${name}"`),
    deleteElement("bind6", `"${name}" . ${addresses.ipv6}`),
    deleteElement("bind4", `"${name}" . ${addresses.ipv4}`),
    renderDropVerdictObjects(slot),
  ].join("");
}

/** The host's addresses changed. */
export function renderNever(ownAddresses: readonly string[]): string {
  const { never4, never6 } = neverSets(ownAddresses);
  return [
    `flush set inet ${ROUTER_TABLE} never4\n`,
    addElement("never4", never4.join(", ")),
    `flush set inet ${ROUTER_TABLE} never6\n`,
    addElement("never6", never6.join(", ")),
  ].join("");
}

function renderVerdicts(slot: RouterSlot): string {
  const name = slot.addresses.routerLink;
  const { mode } = slot.rules;
  const verdicts = { open: ["goto open_out", "goto open_in"], blocked: ["drop", "drop"], allow: allowVerdicts(slot) }[
    mode
  ];
  return [
    mode === "allow" ? renderAllowObjects(slot) : "",
    addElement("egress", `"${name}" : ${verdicts[0]}`),
    addElement("ingress", `"${name}" : ${verdicts[1]}`),
    mode === "open" ? renderLookUps(slot, addElement) : "",
  ].join("");
}

function renderNoLookUps(slot: RouterSlot): string {
  return slot.rules.mode === "open" ? renderLookUps(slot, deleteElement) : "";
}

function renderLookUps(slot: RouterSlot, render: (set: string, element: string) => string): string {
  return askerElements(slot.addresses)
    .map(([set, element]) => render(set, element))
    .join("");
}

function allowVerdicts(slot: RouterSlot): [string, string] {
  return [`goto ${objectName("out", slot)}`, `goto ${objectName("in", slot)}`];
}

function objectName(kind: string, slot: RouterSlot): string {
  return `${kind}_${slot.addresses.slot}_${slot.revision}`;
}

interface AllowSet {
  readonly name: string;
  readonly protocol: "ip" | "ip6";
  readonly kind: "granted" | "allow";
  readonly cidrs: readonly string[];
}

/** The slot's own sets; empty ones are left out, and so are the rules that would look in them. */
function allowSets(slot: RouterSlot): AllowSet[] {
  const { rules } = slot;
  const all: AllowSet[] = [
    { name: objectName("granted4", slot), protocol: "ip", kind: "granted", cidrs: rules.granted4 },
    { name: objectName("granted6", slot), protocol: "ip6", kind: "granted", cidrs: rules.granted6 },
    { name: objectName("allow4", slot), protocol: "ip", kind: "allow", cidrs: rules.allow4 },
    { name: objectName("allow6", slot), protocol: "ip6", kind: "allow", cidrs: rules.allow6 },
  ];
  return all.filter((set) => set.cidrs.length > 0);
}

function renderAllowObjects(slot: RouterSlot): string {
  const sets = allowSets(slot);
  const lookUps = (kind: AllowSet["kind"], side: "saddr" | "daddr"): string =>
    sets
      .filter((set) => set.kind === kind)
      .map((set) => `    ${set.protocol} ${side} @${set.name} accept\n`)
      .join("");
  const chain = (name: string, side: "saddr" | "daddr", head: string): string =>
    `  chain ${name} {
${head}${lookUps("granted", side)}    ip ${side} @private4 counter drop
    ip6 ${side} @private6 counter drop
${lookUps("allow", side)}    counter drop
  }
`;
  return `table inet ${ROUTER_TABLE} {
${sets.map((set) => `${intervalSet(set.name, set.protocol === "ip" ? "ipv4_addr" : "ipv6_addr", set.cidrs)}\n`).join("")}${chain(
  objectName("out", slot),
  "daddr",
  "",
)}${chain(objectName("in", slot), "saddr", "    ct state related accept\n    ip saddr @never4 drop\n    ip6 saddr @never6 drop\n")}}
`;
}

function renderDropVerdictObjects(slot: RouterSlot): string {
  if (slot.rules.mode !== "allow") return "";
  const chains = ["out", "in"].map((kind) => `delete chain inet ${ROUTER_TABLE} ${objectName(kind, slot)}\n`);
  const sets = allowSets(slot).map((set) => `delete set inet ${ROUTER_TABLE} ${set.name}\n`);
  return [...chains, ...sets].join("");
}

function neverSets(ownAddresses: readonly string[]): { never4: string[]; never6: string[] } {
  const merged = mergeCidrs([...NEVER_REACHABLE.map((row) => row.cidr), ...ownAddresses]);
  return { never4: merged.v4, never6: merged.v6 };
}

function intervalSet(name: string, type: string, cidrs: readonly string[]): string {
  const elements = cidrs.length === 0 ? "" : ` elements = { ${cidrs.join(", ")} }`;
  return `  set ${name} { type ${type}; flags interval;${elements} }`;
}

function addElement(set: string, element: string): string {
  return `add element inet ${ROUTER_TABLE} ${set} { ${element} }\n`;
}

function deleteElement(set: string, element: string): string {
  return `delete element inet ${ROUTER_TABLE} ${set} { ${element} }\n`;
}

const MODES: readonly unknown[] = ["open", "blocked", "allow"];

/**
 * Holds rule data to its word before it becomes kernel text: known mode, strict CIDRs of the right family, lists only
 * where the mode is `allow`. Throws NetworkError `InvalidRules`.
 */
export function checkRules(rules: NetworkRules): void {
  if (!MODES.includes(rules.mode)) throw new NetworkError("InvalidRules", "unknown mode of network rules");
  const lists: readonly { list: readonly unknown[]; family: 4 | 6 }[] = [
    { list: rules.allow4, family: 4 },
    { list: rules.granted4, family: 4 },
    { list: rules.allow6, family: 6 },
    { list: rules.granted6, family: 6 },
  ];
  for (const { list, family } of lists) {
    if (!Array.isArray(list)) throw new NetworkError("InvalidRules", "network rules lack a list");
    if (rules.mode !== "allow" && list.length > 0) {
      throw new NetworkError("InvalidRules", `mode ${rules.mode} carries no list`);
    }
    for (const text of list) {
      if (familyOf(text) !== family) throw new NetworkError("InvalidRules", "a list holds the other family");
    }
  }
}

function familyOf(text: unknown): number {
  try {
    return parseCidr(text, "rules").family;
  } catch (error) {
    if (error instanceof PolicyError) throw new NetworkError("InvalidRules", error.message, error);
    throw error;
  }
}
