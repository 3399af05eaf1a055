// The one error of this package: a policy that cannot be accepted, with the field it names.

export interface PolicyErrorOptions {
  /** Path of the bad value as the caller wrote it, for example `network.allow[3]`. */
  readonly field: string;
  /** What to do about it, where there is something to do. */
  readonly hint?: string;
}

/** A network policy, grant or CIDR that is refused. The message quotes the entry, cut and escaped. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code = "InvalidPolicy" as const;
  readonly field: string;
  readonly hint: string | undefined;

  constructor(message: string, options: PolicyErrorOptions) {
    super(`${options.field}: ${message}`);
    this.field = options.field;
    this.hint = options.hint;
  }
}

const QUOTED_LENGTH = 64;

/** A caller's value for use in a message: quoted, control and non-ASCII characters escaped, cut to 64 characters. */
export function quote(value: unknown): string {
  if (typeof value !== "string") return kindOf(value);
  const cut = value.length > QUOTED_LENGTH ? `${value.slice(0, QUOTED_LENGTH)}…` : value;
  return JSON.stringify(cut).replace(
    /[^\x20-\x7e…]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
