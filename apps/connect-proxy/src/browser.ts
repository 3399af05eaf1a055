// What a browser says about who made it ask (Fetch Metadata, Origin), and what that allows. Programs say nothing of it,
// and may say what they like: these rules protect people from other sites, not sandboxes from people.

import type { RawHeader } from "@sallyport/connect-token/verify";
import type { RequestFacts } from "./exchange.ts";

/** A header's value; several lines of it as one text that equals no value of a browser's. Undefined: not there. */
type Told = string | undefined;

export interface BrowserSigns {
  readonly site: Told;
  readonly mode: Told;
  readonly dest: Told;
  readonly origin: Told;
  /** `script` where a service worker is fetched. */
  readonly serviceWorker: Told;
}

/**
 * On whose behalf a browser asks.
 *
 * - `own`: a page of this very host, the person (address bar, bookmark), or a program.
 * - `navigation`: another site leads the whole tab here, by a GET.
 * - `frame`: another site shows this in a frame, by a GET.
 * - `foreign`: another site asks, in any other way.
 */
export type Standing = "own" | "navigation" | "frame" | "foreign";

const FIELDS: ReadonlyMap<string, keyof BrowserSigns> = new Map([
  ["origin", "origin"],
  ["sec-fetch-site", "site"],
  ["sec-fetch-mode", "mode"],
  ["sec-fetch-dest", "dest"],
  ["service-worker", "serviceWorker"],
]);
/** Lengths first: most headers are none of these, and need no look at their letters. */
const LENGTHS: ReadonlySet<number> = new Set(FIELDS.keys().map((name) => name.length));

/** Destinations whose answer becomes a document, with an address that its scripts can read. */
const DOCUMENTS: ReadonlySet<Told> = new Set(["document", "iframe", "frame", "embed", "object", "fencedframe"]);
const FRAMES: ReadonlySet<Told> = new Set(["iframe", "frame"]);

/** Reads the signs out of all headers of a request. */
export function readSigns(headers: readonly RawHeader[]): BrowserSigns {
  const signs: { -readonly [Name in keyof BrowserSigns]: Told } = {
    site: undefined,
    mode: undefined,
    dest: undefined,
    origin: undefined,
    serviceWorker: undefined,
  };
  for (const [name, value] of headers) {
    if (!LENGTHS.has(name.length)) continue;
    const field = FIELDS.get(name.toLowerCase());
    if (field === undefined) continue;
    const before = signs[field];
    signs[field] = before === undefined ? value : `${before}, ${value}`;
  }
  return signs;
}

/** The origin of a host as browsers write it (RFC 6454, section 6.2): in lower case, without the scheme's own port. */
export function ownOrigin(host: string): string {
  return `https://${host.toLowerCase().replace(/:443$/, "")}`;
}

/** On whose behalf a request is made, for what a browser adds by itself: cookies. */
export function standingOf(
  { host, isWebSocket, method }: RequestFacts,
  { dest, mode, origin, site }: BrowserSigns,
): Standing {
  // No browser leaves the Origin of a handshake out (RFC 6455, section 4.1), and nothing else there can be relied on:
  // Lax cookies come along with a sibling's handshake, and no preflight asks first.
  if (isWebSocket) return origin === ownOrigin(host) && isOwnSite(site) ? "own" : "foreign";
  if (isOwnSite(site)) {
    // A page of this host under `no-referrer`, which the proxy itself asks for, says `null` with a POST.
    const hidden = site !== undefined && origin === "null";
    return origin === undefined || hidden || origin === ownOrigin(host) ? "own" : "foreign";
  }
  if (!OTHER_SITES.has(site) || mode !== "navigate" || method !== "GET") return "foreign";
  return dest === "document" ? "navigation" : FRAMES.has(dest) ? "frame" : "foreign";
}

/** Whether the answer becomes a document. */
export function isDocumentLoad({ dest }: BrowserSigns): boolean {
  return DOCUMENTS.has(dest);
}

/**
 * Whether a service worker is fetched that would stand before the root of the host, and so see each link that brings a
 * token: by default its scope is the folder of its script, and the proxy lets nobody widen it.
 */
export function isRootServiceWorker({ target }: RequestFacts, { dest, serviceWorker }: BrowserSigns): boolean {
  if (serviceWorker === undefined && dest !== "serviceworker") return false;
  const query = target.indexOf("?");
  return (query < 0 ? target : target.slice(0, query)).lastIndexOf("/") <= 0;
}

const OTHER_SITES: ReadonlySet<Told> = new Set(["same-site", "cross-site"]);

function isOwnSite(site: Told): boolean {
  return site === undefined || site === "same-origin" || site === "none";
}
