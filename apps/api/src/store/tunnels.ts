// Declared ports of sandboxes with their public addresses, and the public ports that raw ones are given out of.
import { sql } from "kysely";
import type { PortKind, PortRange, Tunnel } from "../domain/declared-port.ts";
import type { Db } from "./database.ts";

/** A declared port as {@link tunnelsJson} tells it. */
export interface TunnelJson {
  readonly port: number;
  readonly kind: PortKind;
  readonly label: string;
  readonly publicPort: number | null;
  readonly proxyProtocol: boolean;
}

/** The declared ports of `sandboxes.id` as JSON, by port; NULL for none. */
export const tunnelsJson = sql<readonly TunnelJson[] | null>`(
  SELECT json_agg(json_build_object('port', port, 'kind', kind, 'label', label, 'publicPort', public_port,
    'proxyProtocol', proxy_protocol) ORDER BY port)
  FROM declared_ports WHERE declared_ports.sandbox_id = sandboxes.id)`;

export function toTunnels(json: readonly TunnelJson[] | null): readonly Tunnel[] {
  return (json ?? []).map(({ publicPort, ...tunnel }) => ({ ...tunnel, publicPort: publicPort ?? undefined }));
}

/** Writes the declared ports of a new sandbox. */
export async function insertTunnels(
  workspaceId: string,
  tx: Db,
  sandboxId: string,
  tunnels: readonly Tunnel[],
): Promise<void> {
  const rows = tunnels.map(({ port, kind, label, publicPort, proxyProtocol }) => ({
    label,
    sandbox_id: sandboxId,
    workspace_id: workspaceId,
    port,
    kind,
    public_port: publicPort ?? null,
    proxy_protocol: proxyProtocol,
  }));
  if (rows.length > 0) await tx.insertInto("declared_ports").values(rows).execute();
}

/** Makes every port of the range one that can be given out. */
export async function offerPublicPorts(db: Db, { from, to }: PortRange): Promise<void> {
  await sql`INSERT INTO public_ports (port) SELECT generate_series(${from}::integer, ${to}::integer)
    ON CONFLICT DO NOTHING`.execute(db);
}

/** How many of these public ports the workspace has, those among them that rest since its sandboxes ended. */
export async function countPublicPorts(
  workspaceId: string,
  db: Db,
  { range, restMs }: { readonly range: PortRange; readonly restMs: number },
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*)::integer AS count FROM public_ports
    WHERE workspace_id = ${workspaceId} AND port BETWEEN ${range.from} AND ${range.to}
      AND (sandbox_id IS NOT NULL
        OR rests_since > clock_timestamp() - ${restMs}::float8 * interval '1 millisecond')`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * Gives a sandbox so many public ports, those first that rested longest, or as many as there are. Those that another
 * transaction is about to give out are passed over, so that nobody waits and none is given out twice.
 */
export async function takePublicPorts(
  tx: Db,
  sandboxId: string,
  wanted: { readonly count: number; readonly range: PortRange; readonly restMs: number },
): Promise<readonly number[]> {
  const { count, range, restMs } = wanted;
  const { rows } = await sql<{ port: number }>`
    WITH free AS MATERIALIZED (
      SELECT port FROM public_ports
      WHERE port BETWEEN ${range.from} AND ${range.to} AND sandbox_id IS NULL
        AND (rests_since IS NULL OR rests_since <= clock_timestamp() - ${restMs}::float8 * interval '1 millisecond')
      ORDER BY rests_since NULLS FIRST, port LIMIT ${count} FOR UPDATE SKIP LOCKED
    )
    UPDATE public_ports SET sandbox_id = ${sandboxId}, rests_since = NULL FROM free
    WHERE public_ports.port = free.port RETURNING public_ports.port`.execute(tx);
  return rows.map((row) => row.port).toSorted((a, b) => a - b);
}

/** The workspace of the living sandbox that has a declared port of this label, whichever it is: only edges may learn it. */
export async function holderOfLabel(db: Db, label: string): Promise<string | undefined> {
  const row = await db
    .selectFrom("declared_ports")
    .innerJoin("sandboxes", "sandboxes.id", "declared_ports.sandbox_id")
    .select("declared_ports.workspace_id")
    .where("label", "=", label)
    .where("sandboxes.ended_at", "is", null)
    .executeTakeFirst();
  return row?.workspace_id;
}
