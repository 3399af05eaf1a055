// Where generated messages about network policies end: to and from what `@sallyport/policy` knows. No judgement here.
import type {
  AllowRule as AllowRuleMessage,
  NetworkPolicy as NetworkPolicyMessage,
  NetworkRules as NetworkRulesMessage,
} from "@sallyport/contracts";
import { IpProtocol, NetworkRules_Mode as RulesMode } from "@sallyport/contracts";
import type { AllowRule, NetworkPolicy, NetworkRules, PortSpec, Protocol } from "@sallyport/policy";
import type { NumberedRules } from "../domain/network.ts";

const MODES: Readonly<Record<NetworkRules["mode"], RulesMode>> = {
  open: RulesMode.OPEN,
  blocked: RulesMode.BLOCKED,
  allow: RulesMode.ALLOW,
};

const PROTOCOLS: Readonly<Record<Protocol, IpProtocol>> = {
  tcp: IpProtocol.TCP,
  udp: IpProtocol.UDP,
  icmp: IpProtocol.ICMP,
};

const PROTOCOL_WORDS: ReadonlyMap<number, Protocol> = new Map(
  Object.entries(PROTOCOLS).map(([word, code]) => [code, word as Protocol]),
);

/** The policy as `parsePolicy` takes it, texts before rules; null where no known mode is named. */
export function fromNetworkPolicy({ mode }: NetworkPolicyMessage): unknown {
  switch (mode?.$case) {
    case undefined:
      return null;
    case "open":
      return "open";
    case "blocked":
      return "blocked";
    case "allow":
      return { allow: [...mode.value.cidrs, ...mode.value.rules.map(fromRule)] };
  }
}

/** What is unset is left out; a protocol that nobody knows is handed on as a word that nobody takes. */
function fromRule({ cidr, protocol, ports }: AllowRuleMessage): object {
  const word = PROTOCOL_WORDS.get(protocol) ?? String(protocol);
  return {
    cidr,
    ...(protocol === IpProtocol.UNSPECIFIED ? {} : { protocol: word }),
    ...(ports.length === 0 ? {} : { ports: ports.map(({ first, last }) => (first === last ? first : [first, last])) }),
  };
}

export function toNetworkPolicy(policy: NetworkPolicy): NetworkPolicyMessage {
  if (policy === "open") return { mode: { $case: "open", value: {} } };
  if (policy === "blocked") return { mode: { $case: "blocked", value: {} } };
  const cidrs = policy.allow.filter((entry) => typeof entry === "string");
  const rules = policy.allow.filter((entry) => typeof entry !== "string").map(toRule);
  return { mode: { $case: "allow", value: { cidrs, rules } } };
}

function toRule({ cidr, protocol, ports = [] }: AllowRule): AllowRuleMessage {
  return {
    cidr,
    protocol: protocol === undefined ? IpProtocol.UNSPECIFIED : PROTOCOLS[protocol],
    ports: ports.map(toRange),
  };
}

function toRange(spec: PortSpec): AllowRuleMessage["ports"][number] {
  const [first, last] = typeof spec === "number" ? [spec, spec] : spec;
  return { first, last };
}

export function toRules(rules: NumberedRules): NetworkRulesMessage {
  return {
    generation: rules.generation,
    mode: MODES[rules.mode],
    allowIpv4: [...rules.allow4],
    allowIpv6: [...rules.allow6],
    grantedIpv4: [...rules.granted4],
    grantedIpv6: [...rules.granted6],
    portRules: rules.portRules.map(({ first, last, protocol, fromPort, toPort, granted }) => ({
      firstAddress: first,
      lastAddress: last,
      protocol: PROTOCOLS[protocol],
      firstPort: fromPort,
      lastPort: toPort,
      granted,
    })),
  };
}
