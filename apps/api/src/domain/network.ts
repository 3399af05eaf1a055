// Network policies as they are kept, and why they change.
import type { AllowRule, NetworkPolicy, NetworkRules } from "@sallyport/policy";

/** Rules with the number that orders them among those of one instance. */
export type NumberedRules = NetworkRules & { readonly generation: number };

/** Why an instance has another policy: its workspace asked, or the operator granted or took back private space. */
export type NetworkCause = "update" | "grant" | "revoke";

/** A policy as it is kept. Entries with ports stand apart: the release before knows texts only, and sends them on. */
export interface StoredPolicy {
  readonly policy: "open" | "blocked" | { readonly allow: readonly string[] };
  readonly rules?: readonly AllowRule[];
}

export function toStoredPolicy(policy: NetworkPolicy): StoredPolicy {
  if (typeof policy === "string") return { policy };
  const allow = policy.allow.filter((entry) => typeof entry === "string");
  const rules = policy.allow.filter((entry) => typeof entry !== "string");
  return { policy: { allow }, ...(rules.length === 0 ? {} : { rules }) };
}

export function fromStoredPolicy({ policy, rules = [] }: StoredPolicy): NetworkPolicy {
  return typeof policy === "string" ? policy : { allow: [...policy.allow, ...rules] };
}
