// The network options of a create, and their one form on the wire.
import type { NetworkPolicy as WirePolicy } from "@sallyport/contracts";
import type { NetworkPolicy } from "@sallyport/policy";
import { sdkError } from "./errors.ts";

export type { NetworkPolicy } from "@sallyport/policy";

/**
 * What the sandbox may reach; at most one of these. Default: `open`.
 *
 * - `network: "open"`: everything but private and never-reachable addresses; `"blocked"`: nothing; `{ allow: CIDRs }`:
 *   these and nothing else (an empty list: nothing).
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
  if (outboundCidrAllowlist !== undefined) return allow(outboundCidrAllowlist, "outboundCidrAllowlist");
  if (network === undefined) return undefined;
  if (network === "open" || network === "blocked") return { mode: { $case: network, value: {} } };
  return allow(network.allow, "network.allow");
}

/** The policy of an answer. One that this version does not know reads as undefined. */
export function fromWirePolicy(policy: WirePolicy | undefined): NetworkPolicy | undefined {
  const mode = policy?.mode;
  if (mode === undefined) return undefined;
  return mode.$case === "allow" ? { allow: mode.value.cidrs } : mode.$case;
}

function allow(cidrs: unknown, field: string): WirePolicy {
  if (!Array.isArray(cidrs) || !cidrs.every((cidr) => typeof cidr === "string")) {
    throw sdkError("InvalidArgument", `${field}: not a list of CIDRs`, {
      field,
      hint: 'e.g. ["198.51.100.0/24", "2001:db8::/32"]; to block everything, "blocked"',
    });
  }
  return { mode: { $case: "allow", value: { cidrs: [...cidrs], rules: [] } } };
}

function contradiction(field: string, other: string): Error {
  return sdkError("InvalidArgument", `${field}: cannot be combined with ${other}`, {
    field,
    hint: "state one of network, blockNetwork and outboundCidrAllowlist",
  });
}
