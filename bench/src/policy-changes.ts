// Changes of policy that are timed, in the kernel and through the SDK.

/** A policy as users write it. */
export type Policy = "open" | "blocked" | { readonly allow: readonly string[] };

/** Taken to and fro: each step is one sample. */
export interface Change {
  readonly name: string;
  readonly between: readonly [Policy, Policy];
}

/** A list of networks of both families that a policy may name; another `seed` gives others. */
function allowList(count: number, seed: number): Policy {
  const entry = (index: number) => (index % 2 === 0 ? `9.${seed}.${index}.0/25` : `2001:db8:${seed}:${index}::/64`);
  return { allow: Array.from({ length: count }, (_, index) => entry(index)) };
}

export const CHANGES: readonly Change[] = [
  { name: "open-blocked", between: ["open", "blocked"] },
  { name: "open-list", between: ["open", allowList(10, 1)] },
  { name: "list-list", between: [allowList(10, 1), allowList(10, 2)] },
];

/** What the slots have that are there besides: a third each. */
export const CROWD: readonly Policy[] = ["open", "blocked", allowList(10, 3)];
