// Network policies as messages, in few words.
import type { AllowRule, NetworkPolicy } from "@sallyport/contracts";
import { IpProtocol } from "@sallyport/contracts";

export const OPEN: NetworkPolicy = { mode: { $case: "open", value: {} } };
export const BLOCKED: NetworkPolicy = { mode: { $case: "blocked", value: {} } };

/** An allow list, texts and rules in any order. */
export function allow(...entries: readonly (string | AllowRule)[]): NetworkPolicy {
  const cidrs = entries.filter((entry) => typeof entry === "string");
  const rules = entries.filter((entry) => typeof entry !== "string");
  return { mode: { $case: "allow", value: { cidrs, rules } } };
}

/** A rule; a port is a number, a range a pair. */
export function rule(
  cidr: string,
  protocol: "any" | "tcp" | "udp" | "icmp",
  ...ports: readonly (number | [number, number])[]
): AllowRule {
  const codes = { any: IpProtocol.UNSPECIFIED, tcp: IpProtocol.TCP, udp: IpProtocol.UDP, icmp: IpProtocol.ICMP };
  return {
    cidr,
    protocol: codes[protocol],
    ports: ports.map((port) => {
      const [first, last] = typeof port === "number" ? [port, port] : port;
      return { first, last };
    }),
  };
}
