// One slot's namespace and cable: made, given its addresses again, taken away.

import { type PlatformNames, SLOT_INTERFACE, type SlotAddresses } from "./addresses.ts";
import {
  configureNamespace,
  ipBatch,
  isNamespace,
  makeNamespace,
  removeLink,
  removeNamespace,
  type Settings,
} from "./namespaces.ts";

/** A slot's kernel forwards nothing and believes nobody: the sandbox has a network stack of its own. */
const SLOT_SETTINGS: Settings = {
  "ipv4/ip_forward": "0",
  "ipv6/conf/all/forwarding": "0",
  "ipv6/conf/eth0/disable_ipv6": "0",
  "ipv6/conf/eth0/accept_ra": "0",
  "ipv6/conf/eth0/accept_redirects": "0",
  "ipv6/conf/eth0/accept_source_route": "-1",
  "ipv4/conf/all/accept_redirects": "0",
  "ipv4/conf/eth0/accept_redirects": "0",
  "ipv4/conf/all/accept_source_route": "0",
  "ipv4/conf/eth0/accept_source_route": "0",
};

/** Namespace, cable into the router, addresses and routes. No rules: without them the router drops all of it. */
export async function makeSlot(names: PlatformNames, slot: SlotAddresses, signal?: AbortSignal): Promise<void> {
  await makeNamespace(slot.netns, signal);
  await ipBatch(
    names.routerNetnsPath,
    [
      `link add name ${slot.routerLink} address ${slot.routerMac} type veth peer name ${SLOT_INTERFACE} address ${slot.mac} netns ${slot.netns}`,
      `addr add ${slot.routerIpv4}/30 dev ${slot.routerLink}`,
      `addr add ${slot.routerIpv6}/64 dev ${slot.routerLink} nodad`,
      `link set ${slot.routerLink} up`,
      ...[slot.ipv4, slot.ipv6].map((address) => neighbour(address, slot.mac, slot.routerLink)),
    ],
    signal,
  );
  await configureNamespace(slot.netnsPath, SLOT_SETTINGS, addressLines(slot), signal);
}

/**
 * Who is at the other end is known for good: nobody is asked, nobody can say otherwise, and it takes no place in the
 * kernel's tables of neighbours, which are small and the whole machine's.
 */
function neighbour(address: string, mac: string, link: string): string {
  return `neigh replace ${address} lladdr ${mac} nud permanent dev ${link}`;
}

/** Puts the addresses and routes back: runsc takes them off the interface when it starts. */
export async function readdressSlot(slot: SlotAddresses): Promise<void> {
  await ipBatch(slot.netnsPath, addressLines(slot));
}

function addressLines(slot: SlotAddresses): string[] {
  return [
    "link set lo up",
    `link set ${SLOT_INTERFACE} up`,
    `addr replace ${slot.ipv4}/30 dev ${SLOT_INTERFACE}`,
    `addr replace ${slot.ipv6}/64 dev ${SLOT_INTERFACE} nodad`,
    `route replace default via ${slot.routerIpv4} dev ${SLOT_INTERFACE}`,
    `route replace ::/0 via ${slot.routerIpv6} dev ${SLOT_INTERFACE}`,
    ...[slot.routerIpv4, slot.routerIpv6].map((address) => neighbour(address, slot.routerMac, SLOT_INTERFACE)),
  ];
}

/** Idempotent. The cable goes by itself too: a process that is still in the namespace would keep it. */
export async function unmakeSlot(names: PlatformNames, slot: SlotAddresses): Promise<void> {
  const routerThere = await isNamespace(names.routerNetnsPath);
  await Promise.all([
    routerThere ? removeLink(names.routerNetnsPath, slot.routerLink) : undefined,
    removeNamespace(slot.netns),
  ]);
}
