// CORS preflights (Fetch standard, section 4.8): browsers send them without any credentials, so they carry no token.

import type { RawHeader } from "@sallyport/connect-token/verify";
import type { LocalAnswer, RequestFacts } from "./exchange.ts";

/**
 * What becomes of a preflight without a token.
 *
 * - `answer`: the proxy allows what is asked for, without credentials, and no byte of it reaches the sandbox. So a page of
 *   another origin can send its token by `Authorization`. What the page may read is still the app's to say, in its answer
 *   to the request itself; and a request with cookies is never allowed by this, nor one into the private network.
 * - `refuse`: 401, like everything else without a token.
 *
 * Nothing goes to the app: that would be an open door, and would tell whether the sandbox is there.
 */
export type PreflightRule = "answer" | "refuse";

const MAX_AGE_S = 600;
const TOKENS = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;
const MAX_HEADERS_CHARACTERS = 1_024;

/** The answer to a preflight; undefined for what is none. */
export function preflightAnswer({ headers, method, requestId }: RequestFacts): LocalAnswer | undefined {
  if (method !== "OPTIONS") return undefined;
  const valuesOf = (wanted: string) =>
    headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  const [asked, ...others] = valuesOf("access-control-request-method");
  if (asked === undefined || others.length > 0 || valuesOf("origin").length !== 1) return undefined;
  const fields = valuesOf("access-control-request-headers")
    .filter((value) => value !== "")
    .join(", ");
  if (!TOKENS.test(asked) || asked.includes(",")) return undefined;
  if (fields !== "" && (fields.length > MAX_HEADERS_CHARACTERS || !TOKENS.test(fields))) return undefined;
  const answer: RawHeader[] = [
    ["Access-Control-Allow-Origin", "*"],
    ["Access-Control-Allow-Methods", asked],
    ...(fields === "" ? [] : ([["Access-Control-Allow-Headers", fields]] as const)),
    ["Access-Control-Max-Age", String(MAX_AGE_S)],
    ["Cache-Control", "no-store"],
    ["X-Request-Id", requestId],
  ];
  return { status: 204, headers: answer, body: Buffer.alloc(0), code: "Preflight" };
}
