// The Connection field (RFC 9110, section 7.6.1): what holds for this hop only.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { isAll, TOKEN } from "./characters.ts";
import { kindOf } from "./field-names.ts";

const NONE: ReadonlySet<string> = new Set();

/** Connection options in lower case; undefined when one is no token. */
export function connectionOptions(values: readonly string[]): ReadonlySet<string> | undefined {
  if (values.length === 0) return NONE;
  const options = new Set<string>();
  for (const value of values) {
    for (const part of value.split(",")) {
      const option = part.trim().toLowerCase();
      if (option === "") continue;
      if (!isAll(option, TOKEN)) return undefined;
      options.add(option);
    }
  }
  return options;
}

/** Options that name no field. */
const PLAIN: ReadonlySet<string> = new Set(["close", "keep-alive", "upgrade"]);

/**
 * The fields that may go on to the next hop: no framing, nothing for one hop only, nothing that `Connection` names. `Host`
 * stays whatever is named: without it a request is another one.
 */
export function endToEnd(headers: readonly RawHeader[], options: ReadonlySet<string>): readonly RawHeader[] {
  const named = options.size === 0 ? options : new Set([...options].filter((option) => !PLAIN.has(option)));
  const kept: RawHeader[] = [];
  for (const header of headers) if (goesOn(header[0], named)) kept.push(header);
  return kept;
}

function goesOn(name: string, named: ReadonlySet<string>): boolean {
  switch (kindOf(name)) {
    case undefined:
      return named.size === 0 || !named.has(name.toLowerCase());
    case "host":
    case "sec-websocket-key":
    case "sec-websocket-version":
    case "sec-websocket-accept":
      return true;
    case "connection":
    case "content-length":
    case "disguised-framing":
    case "expect":
    case "hop":
    case "keep-alive":
    case "transfer-encoding":
    case "upgrade":
      return false;
  }
}
