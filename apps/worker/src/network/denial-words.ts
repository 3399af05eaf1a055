// How the kernel's rules name what they denied, and what users read instead: the rule's words and a hint.

import { type Destination, explain, type NetworkRules, parseAddress } from "@sallyport/policy";
import type { SlotLimits } from "./slot-limits.ts";

/** The log's group, in the router's namespace. */
export const DENIAL_GROUP = 15;

const PREFIXES = [
  /** A destination that is never reachable. */
  "never",
  /** A destination that the slot's policy does not name. */
  "policy",
  /** A look-up by a slot that has no resolver. */
  "look-up",
  /** One connection too many. */
  "connections",
  /** Connections opened, or packets sent, faster than allowed. */
  "rate",
] as const;

export type DenialPrefix = (typeof PREFIXES)[number];

export function isDenialPrefix(word: string): word is DenialPrefix {
  return (PREFIXES as readonly string[]).includes(word);
}

/** A packet that was denied, as far as it matters. */
export interface DeniedPacket {
  readonly prefix: DenialPrefix;
  readonly destination: string;
  readonly protocol: number;
  /** Of TCP and UDP. */
  readonly port: number | undefined;
}

export interface DenialWords {
  readonly rule: string;
  /** What would change it; empty where nothing can. */
  readonly hint: string;
}

const PROTOCOL_NAMES: ReadonlyMap<number, "tcp" | "udp" | "icmp"> = new Map([
  [6, "tcp"],
  [17, "udp"],
  [1, "icmp"],
  [58, "icmp"],
]);

/** `tcp`, `udp`, `icmp`, or the number of another one. */
export function protocolName(packet: Pick<DeniedPacket, "destination" | "protocol">): string {
  const name = PROTOCOL_NAMES.get(packet.protocol);
  if (name !== "icmp") return name ?? String(packet.protocol);
  const family = parseAddress(packet.destination)?.family;
  return packet.protocol === (family === 4 ? 1 : 58) ? name : String(packet.protocol);
}

export interface DenialContext {
  /** Of the slot. */
  readonly mode: NetworkRules["mode"];
  readonly limits: SlotLimits;
  /** As they are in the never set. */
  readonly ownAddresses: readonly string[];
}

/** The words of `evaluate`, and those of limits. */
export function denialWords(packet: DeniedPacket, context: DenialContext): DenialWords {
  switch (packet.prefix) {
    case "connections":
      return {
        rule: "limit connections",
        hint: `at most ${context.limits.connections} connections are open at one time: close what is not needed`,
      };
    case "rate":
      return {
        rule: "limit rate",
        hint: `at most ${context.limits.newConnectionsPerSecond} new connections and ${context.limits.packetsPerSecond} packets a second`,
      };
    case "look-up":
      return {
        rule: closedBy(context.mode),
        hint: 'the platform\'s resolver answers under the policy "open" alone: name a resolver with "dns" that the allow list lets through',
      };
    case "never":
    case "policy":
      return explained(packet, context);
  }
}

/** The policy is not known here, only its mode: with an empty list rule and hint are right, though less exact. */
function explained(packet: DeniedPacket, { mode, ownAddresses }: DenialContext): DenialWords {
  const policy = mode === "allow" ? { allow: [] } : mode;
  const destination = { address: packet.destination, ...serviceOf(packet) };
  const told = explain(policy, [], destination, { ownAddresses });
  if (packet.prefix === "never") return told.rule.startsWith("never") ? told : { rule: "never host", hint: "" };
  // Rules may have changed since the packet was denied.
  return told.allowed ? { rule: closedBy(mode), hint: "" } : told;
}

function serviceOf(packet: DeniedPacket): Pick<Destination, "protocol" | "port"> {
  const protocol = protocolName(packet);
  if (protocol === "icmp") return { protocol };
  if (protocol !== "tcp" && protocol !== "udp") return {};
  return packet.port === undefined || packet.port === 0 ? { protocol } : { protocol, port: packet.port };
}

function closedBy(mode: NetworkRules["mode"]): string {
  return mode === "allow" ? "unlisted" : "blocked";
}
