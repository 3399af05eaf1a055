// Which sandbox a host names.
import { rememberedByName } from "../header-names.ts";

const HOST = /^([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?$/;
const SANDBOX_ID = /^sb-[0-9a-hjkmnp-tv-z]{26}$/;

/** What a host names; both undefined: it is no host name; `sandboxId` alone: none of the domain's sandboxes. */
export interface NamedHost {
  /** Without its port, in lower case. */
  readonly name: string | undefined;
  readonly sandboxId: string | undefined;
}

/** What a host names under this domain; looked up where it was worked out before. */
export function hostReader(connectDomain: string): (host: string) => NamedHost {
  return rememberedByName((host) => {
    const name = parseHost(host)?.name;
    return { name, sandboxId: name === undefined ? undefined : sandboxOf(name, connectDomain) };
  });
}

/** Host and port as they stand in `Host` or `:authority` (RFC 9110, section 7.2); undefined: no host name. */
function parseHost(text: string): { readonly name: string; readonly port: number | undefined } | undefined {
  const match = HOST.exec(text);
  if (match === null) return undefined;
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { name: (match[1] ?? "").toLowerCase(), port };
}

/** The sandbox whose name under the connect domain this is, in lower case; undefined: none. */
export function sandboxOf(name: string, connectDomain: string): string | undefined {
  const dot = name.indexOf(".");
  if (dot === -1 || name.slice(dot + 1) !== connectDomain) return undefined;
  const label = name.slice(0, dot);
  return SANDBOX_ID.test(label) ? label : undefined;
}
