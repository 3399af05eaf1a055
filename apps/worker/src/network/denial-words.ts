// How the kernel's rules name what they denied, in the log that `sallyport-denials` reads.

/** The log's group, in the router's namespace. */
export const DENIAL_GROUP = 15;

export type DenialPrefix =
  /** A destination that is never reachable. */
  | "never"
  /** A destination that the slot's policy does not name. */
  | "policy"
  /** A look-up by a slot that has no resolver. */
  | "look-up"
  /** One connection too many. */
  | "connections"
  /** Connections opened, or packets sent, faster than allowed. */
  | "rate";
