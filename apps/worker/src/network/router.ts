// The router's namespace and its one cable to the host. Rules come from elsewhere, and before the cable.

import type { PlatformNames, UplinkAddresses } from "./addresses.ts";
import { UPLINK_NAME } from "./addresses.ts";
import { IDLE_CONNECTION_S } from "./connection-room.ts";
import { configureNamespace, ipBatch, type Settings } from "./namespaces.ts";
import { readSetting, settingNames, writeSetting } from "./settings.ts";

/** Forwards between slots and uplink, takes no advice from either, and forgets idle connections after two hours. */
const ROUTER_SETTINGS: Settings = {
  "ipv4/ip_forward": "1",
  // Of the slots' cables, which inherit it: what a slot says in ARP is held against it too. What comes by the uplink
  // has to be the answer to a connection, and is not looked up once more.
  "ipv4/conf/all/rp_filter": "0",
  "ipv4/conf/default/rp_filter": "1",
  "ipv4/conf/all/arp_ignore": "1",
  "ipv4/conf/all/send_redirects": "0",
  "ipv4/conf/default/send_redirects": "0",
  "ipv4/conf/all/accept_redirects": "0",
  "ipv4/conf/default/accept_redirects": "0",
  "ipv4/conf/all/accept_source_route": "0",
  "ipv4/conf/default/accept_source_route": "0",
  "ipv6/conf/all/disable_ipv6": "0",
  "ipv6/conf/default/disable_ipv6": "0",
  "ipv6/conf/all/forwarding": "1",
  "ipv6/conf/all/accept_ra": "0",
  "ipv6/conf/default/accept_ra": "0",
  "ipv6/conf/all/accept_redirects": "0",
  "ipv6/conf/default/accept_redirects": "0",
  "ipv6/conf/all/accept_source_route": "-1",
  "ipv6/conf/default/accept_source_route": "-1",
  "ipv6/conf/all/accept_dad": "0",
  "ipv6/conf/default/accept_dad": "0",
  // Answers to what was denied (destination unreachable) have a rate of their own, by slot.
  "ipv4/icmp_ratemask": "6160",
  "ipv6/icmp/ratemask": "0,3-127",
  "netfilter/nf_conntrack_tcp_timeout_established": String(IDLE_CONNECTION_S),
};

const HOST_LINK_SETTINGS: Settings = {
  "ipv4/conf/LINK/accept_redirects": "0",
  "ipv4/conf/LINK/send_redirects": "0",
  "ipv6/conf/LINK/disable_ipv6": "0",
  "ipv6/conf/LINK/accept_ra": "0",
  "ipv6/conf/LINK/accept_redirects": "0",
  "ipv4/conf/LINK/accept_source_route": "0",
  "ipv6/conf/LINK/accept_source_route": "-1",
};

/** Settings of the router's namespace. Interfaces that come later inherit them. Call after the rules are loaded. */
export async function configureRouter(names: PlatformNames): Promise<void> {
  await configureNamespace(names.routerNetnsPath, ROUTER_SETTINGS, ["link set lo up"]);
}

/** Makes the uplink where it is missing, and gives both ends what they should have; what runs is not interrupted. */
export async function connectUplink(names: PlatformNames, uplink: UplinkAddresses): Promise<void> {
  const { hostLink, routerNetns, routerNetnsPath } = names;
  const there = (await settingNames("ipv4/conf")).includes(hostLink);
  if (!there)
    await ipBatch(undefined, [`link add name ${hostLink} type veth peer name ${UPLINK_NAME} netns ${routerNetns}`]);
  for (const [path, value] of Object.entries(HOST_LINK_SETTINGS)) {
    const own = path.replace("LINK", hostLink);
    if ((await readSetting(own)) !== value) await writeSetting(own, value);
  }
  await ipBatch(undefined, [
    `link set ${hostLink} up`,
    `addr replace ${uplink.hostIpv4}/30 dev ${hostLink}`,
    `addr replace ${uplink.hostIpv6}/64 dev ${hostLink} nodad`,
  ]);
  await configureNamespace(routerNetnsPath, { [`ipv4/conf/${UPLINK_NAME}/rp_filter`]: "0" }, [
    `link set ${UPLINK_NAME} up`,
    `addr replace ${uplink.routerIpv4}/30 dev ${UPLINK_NAME}`,
    `addr replace ${uplink.routerIpv6}/64 dev ${UPLINK_NAME} nodad`,
    `route replace default via ${uplink.hostIpv4} dev ${UPLINK_NAME}`,
    `route replace ::/0 via ${uplink.hostIpv6} dev ${UPLINK_NAME}`,
  ]);
}
