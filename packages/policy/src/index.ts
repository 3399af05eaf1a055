// The names of @sallyport/policy.

export type { Family, IpAddress } from "./address.ts";
export { formatAddress, parseAddress } from "./address.ts";
export type { Cidr } from "./cidr.ts";
export { cidrContains, cidrsOverlap, formatCidr, lastAddress, parseCidr } from "./cidr.ts";
export type { NetworkRules } from "./compile.ts";
export { compile } from "./compile.ts";
export type { Destination } from "./destination.ts";
export { formatDestination, parseDestination } from "./destination.ts";
export type { AllowRule, Protocol } from "./entry.ts";
export type { PolicyErrorOptions } from "./errors.ts";
export { PolicyError } from "./errors.ts";
export type { EvaluateOptions, Evaluation } from "./evaluate.ts";
export { evaluate } from "./evaluate.ts";
export type { Explanation } from "./explain.ts";
export { explain } from "./explain.ts";
export type { NetworkPolicy, ParsePolicyOptions } from "./parse.ts";
export { MAX_ALLOW_ENTRIES, parseGrants, parsePolicy } from "./parse.ts";
export type { PortRule } from "./port-rules.ts";
export { MAX_PORT_RULES } from "./port-rules.ts";
export type { PortSpec } from "./ports.ts";
export { MAX_PORTS_PER_RULE } from "./ports.ts";
export { mergeCidrs } from "./ranges.ts";
export type { ReservedRange } from "./reserved.ts";
export { NEVER_REACHABLE, PRIVATE } from "./reserved.ts";
export { tightens } from "./tightens.ts";
