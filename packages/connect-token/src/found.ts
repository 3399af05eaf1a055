// One place where a token was, by the name it stood under.

export interface Found {
  readonly name: string;
  /** May be empty, and is not verified. */
  readonly value: string;
}
