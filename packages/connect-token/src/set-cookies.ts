// The cookies that a browser gets after it came with a token in the query.

import { HOST_PREFIX } from "./wire.ts";

export interface TokenCookies {
  /** The query parameter that brought the token: the cookie gets the same name. */
  readonly name: string;
  /** A verified token. */
  readonly token: string;
  /** The rest of its life. */
  readonly maxAgeMs: number;
  /** Whether it shall work inside a frame of another site. */
  readonly embed: boolean;
  /** Names of the token's cookies that the request came with (`TakenToken.cookies`). */
  readonly cookies: readonly string[];
}

const COMMON = "Path=/; Secure; HttpOnly";
/** `Partitioned` cookies live beside others of the same name, per site that frames (CHIPS). */
const KINDS = { lax: `${COMMON}; SameSite=Lax`, embed: `${COMMON}; SameSite=None; Partitioned` } as const;

/**
 * Values of `Set-Cookie`: the token under its name, and its `__Host-` twin, which no sibling can set or overwrite. Whatever
 * the browser came with that would count before these, or beside them, is ended: the newest link is the one meant.
 */
export function setTokenCookies({ cookies, embed, maxAgeMs, name, token }: TokenCookies): string[] {
  const kind = embed ? KINDS.embed : KINDS.lax;
  const names = [name, HOST_PREFIX + name];
  const lines = names.map((one) => `${one}=${token}; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1_000))}; ${kind}`);
  for (const old of cookies) {
    for (const other of Object.values(KINDS)) {
      if (!names.includes(old) || other !== kind) lines.push(`${old}=; Max-Age=0; ${other}`);
    }
  }
  return lines;
}
