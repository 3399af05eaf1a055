// Request targets (RFC 9112, section 3.2): reduced to the origin form, or `*`.
import { isAll, TARGET } from "./characters.ts";

export interface Target {
  /** Begins with `/`, or is `*`. */
  readonly target: string;
  /** Of an absolute form. */
  readonly authority: string | undefined;
}

const ABSOLUTE = /^https?:\/\/([^/?]*)(.*)$/i;

/** Undefined: a form that no request for a sandbox has. */
export function parseTarget(text: string, method: string): Target | undefined {
  if (!isAll(text, TARGET)) return undefined;
  if (text.startsWith("/")) return { target: text, authority: undefined };
  if (text === "*") return method === "OPTIONS" ? { target: text, authority: undefined } : undefined;
  const match = ABSOLUTE.exec(text);
  if (match === null) return undefined;
  const [, authority = "", rest = ""] = match;
  if (rest.startsWith("/")) return { target: rest, authority };
  // Section 3.2.4: without path and query, OPTIONS asks about the server as a whole.
  if (rest === "" && method === "OPTIONS") return { target: "*", authority };
  return { target: `/${rest}`, authority };
}
