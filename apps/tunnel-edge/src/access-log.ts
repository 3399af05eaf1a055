// One line for each connection into a sandbox, and for those that were turned away on their way there, as JSON. No label of a
// host (who knows it may come), and no byte of anybody's.
import type { DayLogOptions } from "@sallyport/edge";
import { AccessLog, logText } from "@sallyport/edge";
import type { Refusal } from "./refusals.ts";
import type { TunnelEnd } from "./tunnel-end.ts";

export type TunnelLog = AccessLog<TunnelEnd | Refusal>;

export async function openTunnelLog(options: DayLogOptions): Promise<TunnelLog> {
  return await AccessLog.open(options, {
    // Tunnels ask nobody who he is. One who has talked to an app counts as its client.
    isStranger: (entry) => "refusal" in entry || entry.inBytes === 0 || entry.outBytes === 0,
    fieldsOf: (entry) => ("refusal" in entry ? refusalFields(entry) : endFields(entry)),
  });
}

function endFields({ inBytes, kind, ms, outBytes, peer, port, reason, sandboxId }: TunnelEnd): string {
  return (
    `"sandboxId":${logText(sandboxId)},"port":${port},"kind":"${kind}","peer":${logText(peer)},"end":"${reason}",` +
    `"inBytes":${inBytes},"outBytes":${outBytes},"ms":${Math.round(ms)}`
  );
}

function refusalFields({ kind, peer, port, refusal, sandboxId, times }: Refusal): string {
  return (
    `"sandboxId":${logText(sandboxId)},"port":${port ?? null},"kind":${logText(kind)},"peer":${logText(peer)},` +
    `"end":"refused","refusal":${logText(refusal)},"times":${times}`
  );
}
