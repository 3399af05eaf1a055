// Names and addresses of a platform's network, all derived from the platform id: no state, no I/O.

import { createHash } from "node:crypto";
import { formatAddress, parseAddress } from "@sallyport/policy";
import { NetworkError } from "./errors.ts";

/** Slots that a platform can address. Many more than a machine can run, so that an index comes round late. */
export const SLOT_COUNT = 16_384;
/** Subnets in the range that uplinks are chosen from: 169.254.64.0/18 in /30s. */
export const UPLINK_COUNT = 4096;

const SLOTS_V4 = addressValue("100.64.0.0");
const UPLINKS_V4 = addressValue("169.254.64.0");
const UPLINK_SUBNET_V6 = 0xffffn;
const PLATFORM_ID = /^[0-9a-z]{26}$/;

function addressValue(text: string): bigint {
  return parseAddress(text)?.value ?? 0n;
}

export interface PlatformNames {
  /** Last eight characters of the platform id. */
  readonly tag: string;
  readonly routerNetns: string;
  readonly routerNetnsPath: string;
  /** The host's end of the uplink; at most 15 characters. */
  readonly hostLink: string;
  readonly hostTable: string;
  /** The platform's unique local /48. */
  readonly ula: string;
}

export const NETNS_DIRECTORY = "/run/netns";
/** The router's end of the uplink. */
export const UPLINK_NAME = "uplink";
/** The sandbox's end of a slot. */
export const SLOT_INTERFACE = "eth0";

/** Throws NetworkError `SetupFailed` where the id is no lower-case ULID: it becomes part of names. */
export function platformNames(platformId: string): PlatformNames {
  if (!PLATFORM_ID.test(platformId)) throw new NetworkError("SetupFailed", "the platform id is not a lower-case ULID");
  const tag = platformId.slice(-8);
  return {
    tag,
    routerNetns: `sp-${tag}`,
    routerNetnsPath: `${NETNS_DIRECTORY}/sp-${tag}`,
    hostLink: `spu${tag}`,
    hostTable: `sallyport_${tag}`,
    ula: `${formatAddress({ family: 6, value: ulaOf(platformId) })}/48`,
  };
}

/** fd, forty bits of the id's hash. The first byte of the forty is never 0: fd00:ec2::/32 is a cloud's metadata. */
function ulaOf(platformId: string): bigint {
  const hash = createHash("sha256").update(`sallyport ula ${platformId}`).digest();
  const first = hash.readUInt8(0) === 0 ? 1 : hash.readUInt8(0);
  const rest = BigInt(`0x${hash.subarray(1, 5).toString("hex")}`);
  return (((0xfdn << 40n) | (BigInt(first) << 32n) | rest) << 80n) & ((1n << 128n) - 1n);
}

export interface SlotAddresses {
  readonly slot: number;
  readonly netns: string;
  readonly netnsPath: string;
  /** The router's end, inside the router's namespace. */
  readonly routerLink: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly routerIpv4: string;
  readonly routerIpv6: string;
  /** Hardware addresses of the slot's end of its cable, and of the router's. */
  readonly mac: string;
  readonly routerMac: string;
}

export function slotAddresses(platformId: string, slot: number): SlotAddresses {
  if (!Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) {
    throw new NetworkError("NoSuchSlot", `there is no slot ${slot}`);
  }
  const { tag } = platformNames(platformId);
  const v4 = SLOTS_V4 + 4n * BigInt(slot);
  const v6 = ulaOf(platformId) | (BigInt(slot) << 64n);
  return {
    slot,
    netns: `sp-${tag}-${slot}`,
    netnsPath: `${NETNS_DIRECTORY}/sp-${tag}-${slot}`,
    routerLink: `slot${slot}`,
    routerIpv4: formatAddress({ family: 4, value: v4 + 1n }),
    ipv4: formatAddress({ family: 4, value: v4 + 2n }),
    routerIpv6: formatAddress({ family: 6, value: v6 | 1n }),
    ipv6: formatAddress({ family: 6, value: v6 | 2n }),
    mac: macOf(slot, 2),
    routerMac: macOf(slot, 1),
  };
}

/** Locally administered, unicast: one cable, two ends. */
function macOf(slot: number, end: 1 | 2): string {
  const bytes = [0x02, 0x5a, 0x11, slot >> 8, slot & 0xff, end];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

export interface UplinkAddresses {
  readonly index: number;
  /** The /30 of both ends. */
  readonly subnet4: string;
  readonly hostIpv4: string;
  readonly routerIpv4: string;
  readonly hostIpv6: string;
  readonly routerIpv6: string;
}

export function uplinkAddresses(platformId: string, index: number): UplinkAddresses {
  const v4 = UPLINKS_V4 + 4n * BigInt(index % UPLINK_COUNT);
  const v6 = ulaOf(platformId) | (UPLINK_SUBNET_V6 << 64n);
  return {
    index,
    subnet4: `${formatAddress({ family: 4, value: v4 })}/30`,
    hostIpv4: formatAddress({ family: 4, value: v4 + 1n }),
    routerIpv4: formatAddress({ family: 4, value: v4 + 2n }),
    hostIpv6: formatAddress({ family: 6, value: v6 | 1n }),
    routerIpv6: formatAddress({ family: 6, value: v6 | 2n }),
  };
}

/** Where the search for a free uplink subnet begins: spread over the range by the platform's id. */
export function firstUplinkIndex(platformId: string): number {
  return createHash("sha256").update(`sallyport uplink ${platformId}`).digest().readUInt16BE(0) % UPLINK_COUNT;
}
