// The network options of a create, and their one form on the wire.
import type { NetworkPolicy as WirePolicy, AllowRule as WireRule } from "@sallyport/contracts";
import { IpProtocol } from "@sallyport/contracts";
import type { AllowRule, NetworkPolicy, PortSpec, Protocol } from "@sallyport/policy";
import { SallyportError, sdkError } from "./errors.ts";

export type { AllowRule, NetworkPolicy } from "@sallyport/policy";

/**
 * What the sandbox may reach; at most one of these. Default: `open`.
 *
 * - `network: "open"`: everything but private and never-reachable addresses; `"blocked"`: nothing; `{ allow }`: what the
 *   list names and nothing else (an empty list: nothing). An entry is a CIDR, or `{ cidr, protocol, ports }` for a part
 *   of what goes there. Private space counts only inside what the operator granted the workspace.
 * - `blockNetwork: true` is `network: "blocked"`.
 * - `outboundCidrAllowlist: CIDRs` is `network: { allow: CIDRs }`.
 */
export type NetworkOption =
  | {
      readonly network?: NetworkPolicy | undefined;
      readonly blockNetwork?: undefined;
      readonly outboundCidrAllowlist?: undefined;
    }
  | {
      readonly network?: undefined;
      readonly blockNetwork?: boolean | undefined;
      readonly outboundCidrAllowlist?: undefined;
    }
  | {
      readonly network?: undefined;
      readonly blockNetwork?: false | undefined;
      readonly outboundCidrAllowlist?: readonly string[] | undefined;
    };

/** The three options as a caller without types may state them. */
interface LooseNetworkOption {
  readonly network?: NetworkPolicy | undefined;
  readonly blockNetwork?: boolean | undefined;
  readonly outboundCidrAllowlist?: readonly string[] | undefined;
}

/** The policy for the wire; undefined when none was stated. Two statements at once cannot be sent: InvalidArgument. */
export function toWirePolicy(options: LooseNetworkOption): WirePolicy | undefined {
  const { network, blockNetwork, outboundCidrAllowlist } = options;
  if (network !== undefined && (blockNetwork !== undefined || outboundCidrAllowlist !== undefined)) {
    throw contradiction("network", blockNetwork === undefined ? "outboundCidrAllowlist" : "blockNetwork");
  }
  if (blockNetwork === true && outboundCidrAllowlist !== undefined) {
    throw contradiction("outboundCidrAllowlist", "blockNetwork");
  }
  if (blockNetwork === true) return { mode: { $case: "blocked", value: {} } };
  if (outboundCidrAllowlist !== undefined) return toAllow(outboundCidrAllowlist, ALLOWLIST);
  return network === undefined ? undefined : toPolicy(network);
}

const ALLOWLIST = "outboundCidrAllowlist";

/** What was said of the policy, in the words of the option that stated it. */
export function inOwnWords(error: unknown, { outboundCidrAllowlist }: LooseNetworkOption): unknown {
  if (outboundCidrAllowlist === undefined || !SallyportError.is(error)) return error;
  if (error.field?.startsWith("network.allow") !== true) return error;
  const own = (text: string) => text.replaceAll("network.allow", ALLOWLIST);
  const { code, hint, requestId, retryAfterMs } = error;
  return sdkError(code, own(error.message), { field: own(error.field), hint, requestId, retryAfterMs });
}

/** One policy for the wire. Throws InvalidArgument for what has no form there. */
export function toPolicy(network: NetworkPolicy): WirePolicy {
  if (network === "open" || network === "blocked") return { mode: { $case: network, value: {} } };
  const value: unknown = network;
  if (typeof value !== "object" || value === null || Object.keys(value).join() !== "allow") {
    throw unwritable(
      "network",
      "is no policy",
      'use "open", "blocked" or { allow: [CIDR or { cidr, protocol, ports }] }',
    );
  }
  return toAllow(network.allow, "network.allow");
}

/**
 * Texts alone have a list of their own, which every platform knows. With a rule among them all of them are rules, so
 * that an entry is at the same place here and there.
 */
function toAllow(entries: readonly unknown[], field: string): WirePolicy {
  if (!Array.isArray(entries)) {
    throw unwritable(field, "is not a list of CIDRs", 'e.g. ["198.51.100.0/24"]; to block everything, "blocked"');
  }
  const list = Array.from(entries as readonly unknown[]); // with its holes filled
  if (list.every((entry) => typeof entry === "string")) {
    return { mode: { $case: "allow", value: { cidrs: list, rules: [] } } };
  }
  const rules = list.map((entry, index) => toRule(entry, `${field}[${index}]`));
  return { mode: { $case: "allow", value: { cidrs: [], rules } } };
}

const PROTOCOLS: Readonly<Record<Protocol, IpProtocol>> = {
  tcp: IpProtocol.TCP,
  udp: IpProtocol.UDP,
  icmp: IpProtocol.ICMP,
};

const WORDS: ReadonlyMap<IpProtocol, Protocol> = new Map(
  Object.entries(PROTOCOLS).map(([word, code]) => [code, word as Protocol]),
);

const RULE_KEYS = ["cidr", "protocol", "ports"];

/** What would be lost on the way is refused: a rule that says less allows more. */
function toRule(entry: unknown, field: string): WireRule {
  const shape = 'write a CIDR, or { cidr: "198.51.100.0/24", protocol: "tcp", ports: [443, [8000, 8100]] }';
  if (typeof entry === "string") return { cidr: entry, protocol: IpProtocol.UNSPECIFIED, ports: [] };
  if (typeof entry !== "object" || entry === null) throw unwritable(field, "is neither a CIDR nor a rule", shape);
  const { cidr, protocol, ports }: { readonly cidr?: unknown; readonly protocol?: unknown; readonly ports?: unknown } =
    entry;
  if (Object.keys(entry).some((key) => !RULE_KEYS.includes(key))) throw unwritable(field, "is no rule", shape);
  if (typeof cidr !== "string") throw unwritable(`${field}.cidr`, "is not a text", shape);
  return {
    cidr,
    protocol: protocol === undefined ? IpProtocol.UNSPECIFIED : toProtocol(protocol, `${field}.protocol`),
    ports: ports === undefined ? [] : toPorts(ports, `${field}.ports`),
  };
}

function toProtocol(protocol: unknown, field: string): IpProtocol {
  const code = typeof protocol === "string" && Object.hasOwn(PROTOCOLS, protocol) && PROTOCOLS[protocol as Protocol];
  if (code !== undefined && code !== false) return code;
  throw unwritable(field, "is not a protocol", 'write "tcp", "udp" or "icmp", or leave it out');
}

function toPorts(ports: unknown, field: string): WireRule["ports"] {
  if (!Array.isArray(ports)) throw unwritable(field, "is not a list of ports", "write a list: [443, [8000, 8100]]");
  // On the wire, none means all.
  if (ports.length === 0) throw unwritable(field, "names no port", "leave ports out to allow all of them");
  return Array.from(ports as readonly unknown[], (spec, index) => {
    const at = `${field}[${index}]`;
    const pair: readonly unknown[] = Array.isArray(spec) ? spec : [spec, spec];
    const [first, last] = pair;
    if (pair.length === 2 && isPort(first) && isPort(last)) return { first, last };
    throw unwritable(at, "is not a port", "write a whole number from 1 to 65535, or [from, to]");
  });
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** The policy of an answer. One that this version does not know reads as undefined. */
export function fromWirePolicy(policy: WirePolicy | undefined): NetworkPolicy | undefined {
  const mode = policy?.mode;
  if (mode === undefined) return undefined;
  if (mode.$case !== "allow") return mode.$case;
  const rules = mode.value.rules.map(fromRule);
  if (!rules.every((rule) => rule !== undefined)) return undefined;
  return { allow: [...mode.value.cidrs, ...rules] };
}

function fromRule({ cidr, protocol, ports }: WireRule): AllowRule | undefined {
  const word = WORDS.get(protocol);
  if (word === undefined && protocol !== IpProtocol.UNSPECIFIED) return undefined;
  return {
    cidr,
    ...(word === undefined ? {} : { protocol: word }),
    ...(ports.length === 0
      ? {}
      : { ports: ports.map(({ first, last }): PortSpec => (first === last ? first : [first, last])) }),
  };
}

function unwritable(field: string, message: string, hint: string): Error {
  return sdkError("InvalidArgument", `${field}: ${message}`, { field, hint });
}

function contradiction(field: string, other: string): Error {
  return unwritable(field, `cannot be combined with ${other}`, `state one of network, blockNetwork and ${ALLOWLIST}`);
}
