// One line for each exchange, as JSON. No token, no query (an app's own secrets may be in it), no header.
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import { TOKEN_PREFIX } from "@sallyport/connect-token/verify";
import type { DayLogOptions } from "@sallyport/edge";
import { AccessLog, logText } from "@sallyport/edge";
import type { ExchangeEnd, RefusalAbout } from "./exchange.ts";

export type ConnectLog = AccessLog<ExchangeEnd>;

/** Who has shown no good token is a stranger. */
export async function openConnectLog(options: DayLogOptions): Promise<ConnectLog> {
  return await AccessLog.open(options, { isStranger: ({ grant }) => grant === undefined, fieldsOf });
}

function fieldsOf({ about, code, grant, inBytes, ms, outBytes, outcome, protocol, status }: ExchangeEnd): string {
  const tenths = Math.round(ms * 10);
  return (
    `"requestId":${logText(about.requestId)},${whoOf(about, grant)},"protocol":"${protocol}",` +
    `"method":${logText(about.method)},"path":${logText(pathOf(about.target))},` +
    `"status":${status},"code":${logText(code)},"outcome":"${outcome}","inBytes":${inBytes},"outBytes":${outBytes},` +
    `"ms":${(tenths - (tenths % 10)) / 10}.${tenths % 10}`
  );
}

/** By the token: the address that it came from last, and the part of a line that says so. */
const known = new WeakMap<ConnectGrant, { readonly peer: string | undefined; readonly text: string }>();

function whoOf({ peerAddress, sandboxId }: RefusalAbout, grant: ConnectGrant | undefined): string {
  if (grant === undefined || grant.sandboxId !== sandboxId) return whoText(peerAddress, sandboxId, grant?.id);
  const last = known.get(grant);
  if (last !== undefined && last.peer === peerAddress) return last.text;
  // In one piece, for it is written again and again. ASCII, as the line is.
  const made = Buffer.from(whoText(peerAddress, grant.sandboxId, grant.id), "latin1").toString("latin1");
  known.set(grant, { peer: peerAddress, text: made });
  return made;
}

function whoText(peer: string | undefined, sandboxId: string | undefined, tokenId: string | undefined): string {
  return `"peer":${logText(peer)},"sandboxId":${logText(sandboxId)},"tokenId":${logText(tokenId)}`;
}

/** Without its query, and up to a connect token that somebody has put into it. */
function pathOf(target: string | undefined): string | undefined {
  const query = target?.indexOf("?") ?? -1;
  const path = query === -1 ? target : target?.slice(0, query);
  const token = path?.indexOf(TOKEN_PREFIX) ?? -1;
  return token === -1 ? path : path?.slice(0, token);
}
