// What an app in a sandbox may say to browsers about cookies: nothing that another host would get, and nothing about the
// token's own. Read as the laxest client would read it, since every client has its own idea of a Set-Cookie.

import { TOKEN_NAMES } from "@sallyport/connect-token/verify";

const SUSPECT = /_connect_token|domain/i;
const OURS: ReadonlySet<string> = new Set(TOKEN_NAMES);
/** `__Host-`, `__Secure-`, and whatever prefix comes next. */
const PREFIX = /^__[a-z-]*-/;
/** What some client takes for blank, or drops: controls, blanks, quotes, and what is beyond ASCII. */
const BLANKS = /[^\x21-\x7e]+|"/g;

/**
 * A value of `Set-Cookie` as the client gets it; undefined: not at all.
 *
 * - Without `Domain`: the cookie is this host's alone. The attribute goes rather than the cookie, since apps that name their
 *   own host by it work as before; what one sets for a wider domain comes back to it alone.
 * - Not at all if any client could take it for one of the token's: by any case, any prefix, without a name of its own
 *   (`=_connect_token=…` comes back as if it had one), or as one of several in a line.
 */
export function cleanSetCookie(value: string): string | undefined {
  if (!SUSPECT.test(value)) return value;
  if (value.split(/[;,]/).some(isOurs)) return undefined;
  const [pair = "", ...attributes] = value.split(";");
  const kept = attributes.filter((attribute) => nameOf(attribute) !== "domain");
  return kept.length === attributes.length ? value : [pair, ...kept].join(";");
}

/** What `Clear-Site-Data` can clear without reaching beyond this host's origin. `"cookies"` clears those of all siblings. */
const CLEARABLE: ReadonlySet<string> = new Set([
  '"cache"',
  '"clientHints"',
  '"executionContexts"',
  '"prefetchCache"',
  '"prerenderCache"',
  '"storage"',
]);

/** A value of `Clear-Site-Data` without `"cookies"`, `"*"` and what nobody knows; undefined if nothing is left. */
export function cleanClearSiteData(value: string): string | undefined {
  const kept = value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => CLEARABLE.has(part));
  return kept.length === 0 ? undefined : kept.join(", ");
}

function isOurs(part: string): boolean {
  return OURS.has(nameOf(part).replace(PREFIX, ""));
}

/** The name before the first `=` that follows anything else than `=` and blanks. */
function nameOf(part: string): string {
  const text = part.replace(BLANKS, "").replace(/^=+/, "").toLowerCase();
  const equals = text.indexOf("=");
  return equals < 0 ? text : text.slice(0, equals);
}
