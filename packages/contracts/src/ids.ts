// Ids: a prefix that says what is named, a dash, and a ULID in lower case (https://github.com/ulid/spec), so that every
// id is a DNS label of fixed length per kind.

/** Prefix of each kind of id. */
export const ID_PREFIXES = {
  sandbox: "sb",
  instance: "in",
  workspace: "ws",
  app: "ap",
  worker: "wk",
  apiToken: "at",
  image: "im",
  connectToken: "ct",
} as const;

/** What an id can name. */
export type IdKind = keyof typeof ID_PREFIXES;

const ULID = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether a text is an id of this kind: prefix, dash and 26 characters of lower-case Crockford base32. */
export function isId(kind: IdKind, text: string): boolean {
  const prefix = `${ID_PREFIXES[kind]}-`;
  return text.startsWith(prefix) && ULID.test(text.slice(prefix.length));
}
