// Judging policies: once, for creates and updates alike, against what the operator granted the workspace.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { NetworkPolicy, NetworkRules } from "@sallyport/policy";
import { compile, PolicyError, parsePolicy } from "@sallyport/policy";

/** A policy that holds, and what the kernel is to be told of it. */
export interface JudgedPolicy {
  readonly policy: NetworkPolicy;
  readonly rules: NetworkRules;
}

/**
 * Judges a policy in the shape of `@sallyport/policy`, texts of its list before rules. Throws InvalidArgument by the
 * request's own names: `network.allow.cidrs[3]`, `network.allow.rules[0].ports[1]`.
 */
export function judgePolicy(input: unknown, grants: readonly string[]): JudgedPolicy {
  try {
    const policy = parsePolicy(input, { grants, field: "network" });
    return { policy, rules: compile(policy, grants) };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const wire = (text: string) => wireFields(input, text);
    throw new AppError("InvalidArgument", wire(error.message), {
      field: wire(error.field),
      hint: error.hint,
      cause: error,
    });
  }
}

/** The rules of a policy that was judged before, after the grants have changed. What they no longer carry is left out. */
export function recompile(policy: NetworkPolicy, grants: readonly string[]): NetworkRules {
  try {
    return compile(policy, grants);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    // Too many rules with these grants: private space stays shut, and the rest as it is.
    return compile(policy, []);
  }
}

/** A request without a mode that we know is refused, and never read as open. */
export function assertMode(network: unknown): void {
  if (network !== null) return;
  throw invalidArgument("network", "names no mode that this platform knows", "use open, blocked or allow");
}

/** On the wire, texts and rules are lists of their own. */
function wireFields(input: unknown, text: string): string {
  const list = typeof input === "object" && input !== null && "allow" in input ? input.allow : undefined;
  const texts = Array.isArray(list) ? list.filter((entry) => typeof entry === "string").length : 0;
  return text.replaceAll(/\bnetwork\.allow\[(\d+)\]/g, (_, digits: string) => {
    const index = Number(digits);
    return index < texts ? `network.allow.cidrs[${index}]` : `network.allow.rules[${index - texts}]`;
  });
}
