// Sandboxes with the instance that stands for them: what a workspace asked for, and what has become of it.

import type { NetworkPolicy } from "@sallyport/policy";
import { sql } from "kysely";
import type { Tunnel } from "../domain/declared-port.ts";
import { isNetworkPending, sandboxState } from "../domain/instance-state.ts";
import { WORKER_SILENCE_MS } from "../domain/limits.ts";
import { fromStoredPolicy, toStoredPolicy } from "../domain/network.ts";
import type { InstanceSpec, Sandbox } from "../domain/sandbox.ts";
import type { NewEvent } from "../domain/sandbox-event.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { workerTopic } from "./topics.ts";
import { insertTunnels, toTunnels, tunnelsJson } from "./tunnels.ts";

/** A sandbox and what the services need beside what callers see. */
export interface SandboxRecord {
  readonly sandbox: Sandbox;
  readonly tunnels: readonly Tunnel[];
  readonly instanceId: string;
  readonly workerId: string;
  /** host:port of the gateway that has its processes. */
  readonly ioAddress: string;
  /** Where the same gateway answers over HTTP; empty when its worker did not say. */
  readonly ioUrl: string;
}

/** A sandbox and its first instance, to be written. */
export interface NewSandbox {
  readonly sandboxId: string;
  readonly instanceId: string;
  readonly appId: string;
  readonly workerId: string;
  readonly image: string;
  readonly network: NetworkPolicy;
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly spec: InstanceSpec;
  readonly tunnels: readonly Tunnel[];
  /** CIDRs of those who may come; undefined for everybody. */
  readonly inbound: readonly string[] | undefined;
}

const FIRST_GENERATION = 1;

/** Writes a sandbox, its first instance and its first events, and lets its worker be woken at commit: one round trip, two with tunnels. */
export async function insertSandbox(workspaceId: string, db: Db, made: NewSandbox): Promise<void> {
  const { spec } = made;
  const events: readonly Pick<NewEvent, "type" | "detail">[] = [
    { type: "created", detail: createdDetail(made) },
    { type: "placed", detail: { workerId: made.workerId, instanceId: made.instanceId } },
  ];
  const size = { cpu_millis: spec.cpuMillis, memory_mib: spec.memoryMiB, generation: FIRST_GENERATION };
  await db
    .with("sandbox", (query) =>
      query.insertInto("sandboxes").values({
        ...size,
        id: made.sandboxId,
        workspace_id: workspaceId,
        app_id: made.appId,
        image: made.image,
        network: JSON.stringify(toStoredPolicy(made.network)),
        lifetime_ms: spec.lifetimeMs,
        command: spec.command === undefined ? null : JSON.stringify(spec.command),
        ended_at: null,
        name: made.name ?? null,
        tags: JSON.stringify(made.tags),
        idle_timeout_ms: spec.idleTimeoutMs ?? null,
        sleep_after_ms: spec.sleepAfterMs ?? null,
        disk_mib: spec.diskMiB,
        event_seq: events.length,
        dns: [...spec.dns],
        inbound_cidrs: made.inbound === undefined ? null : [...made.inbound],
      }),
    )
    .with("events", (query) =>
      query.insertInto("sandbox_events").values(
        events.map(({ type, detail }, index) => ({
          sandbox_id: made.sandboxId,
          seq: index + 1,
          workspace_id: workspaceId,
          at: sql<Date>`now()`,
          type,
          detail: JSON.stringify(detail),
        })),
      ),
    )
    .insertInto("instances")
    .values({
      ...size,
      id: made.instanceId,
      sandbox_id: made.sandboxId,
      workspace_id: workspaceId,
      worker_id: made.workerId,
      wish: "run",
      spec: JSON.stringify(spec),
      observed: "unseen",
      seq: 0,
      network_generation: 0,
      outcome: null,
      started_at: null,
      ended_at: null,
    })
    .returning(notifying(workerTopic(made.workerId)))
    .execute();
  await insertTunnels(workspaceId, db, made.sandboxId, made.tunnels);
}

function createdDetail({ image, name, tunnels }: NewSandbox): NewEvent["detail"] {
  const ports = tunnels.map(({ port, kind }) => `${port}/${kind}`);
  return { image, ...(name === undefined ? {} : { name }), ...(ports.length === 0 ? {} : { ports }) };
}

/** A sandbox of this workspace; undefined for another's as for none. */
export async function findSandbox(workspaceId: string, db: Db, id: string): Promise<SandboxRecord | undefined> {
  const row = await records(db)
    .where("sandboxes.workspace_id", "=", workspaceId)
    .where("sandboxes.id", "=", id)
    .executeTakeFirst();
  return row === undefined ? undefined : toRecord(row);
}

/** The living sandbox of this name in an app of this workspace. */
export async function findSandboxByName(
  workspaceId: string,
  db: Db,
  appName: string,
  name: string,
): Promise<SandboxRecord | undefined> {
  const row = await records(db)
    .where("sandboxes.workspace_id", "=", workspaceId)
    .where("apps.name", "=", appName)
    .where("sandboxes.name", "=", name)
    .where("sandboxes.ended_at", "is", null)
    .executeTakeFirst();
  return row === undefined ? undefined : toRecord(row);
}

/** Replaces the tags of a living sandbox of this workspace; false when there is none. */
export async function writeTags(
  workspaceId: string,
  db: Db,
  sandboxId: string,
  tags: Readonly<Record<string, string>>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("sandboxes")
    .set({ tags: JSON.stringify(tags) })
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", sandboxId)
    .where("ended_at", "is", null)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Which sandboxes are listed. */
export interface ListFilter {
  readonly appName: string | undefined;
  readonly name: string | undefined;
  /** All of these. */
  readonly tags: Readonly<Record<string, string>>;
  readonly includeEnded: boolean;
}

export interface ListOptions extends ListFilter {
  /** Only those made before this one. */
  readonly beforeId: string | undefined;
  readonly limit: number;
}

/** Sandboxes of this workspace, newest first. */
export async function listSandboxes(workspaceId: string, db: Db, options: ListOptions): Promise<SandboxRecord[]> {
  let query = records(db)
    .where("sandboxes.workspace_id", "=", workspaceId)
    .orderBy("sandboxes.id", "desc")
    .limit(options.limit);
  if (!options.includeEnded) query = query.where("sandboxes.ended_at", "is", null);
  if (options.appName !== undefined) query = query.where("apps.name", "=", options.appName);
  if (options.name !== undefined) query = query.where("sandboxes.name", "=", options.name);
  if (Object.keys(options.tags).length > 0) {
    query = query.where(sql<boolean>`sandboxes.tags @> ${JSON.stringify(options.tags)}::jsonb`);
  }
  if (options.beforeId !== undefined) query = query.where("sandboxes.id", "<", options.beforeId);
  return (await query.execute()).map(toRecord);
}

/** For the operator: living sandboxes of all workspaces. */
export async function countLivingSandboxes(db: Db): Promise<number> {
  const row = await db
    .selectFrom("sandboxes")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("ended_at", "is", null)
    .executeTakeFirstOrThrow();
  return row.count;
}

function records(db: Db) {
  return db
    .selectFrom("sandboxes")
    .innerJoin("apps", "apps.id", "sandboxes.app_id")
    .innerJoin("instances", (join) =>
      join
        .onRef("instances.sandbox_id", "=", "sandboxes.id")
        .onRef("instances.generation", "=", "sandboxes.generation"),
    )
    .innerJoin("workers", "workers.id", "instances.worker_id")
    .select([
      "sandboxes.id",
      "sandboxes.app_id",
      "apps.name as app_name",
      "sandboxes.image",
      "sandboxes.created_at",
      "sandboxes.network",
      "sandboxes.cpu_millis",
      "sandboxes.memory_mib",
      "sandboxes.lifetime_ms",
      "sandboxes.command",
      "sandboxes.name",
      "sandboxes.tags",
      "sandboxes.idle_timeout_ms",
      "sandboxes.sleep_after_ms",
      "sandboxes.disk_mib",
      "sandboxes.dns",
      "sandboxes.inbound_cidrs",
      tunnelsJson.as("tunnels"),
      "instances.id as instance_id",
      "instances.wish",
      "instances.observed",
      "instances.outcome",
      "instances.started_at",
      "instances.ended_at",
      "instances.asleep",
      "instances.network_wished",
      "instances.network_generation",
      "workers.id as worker_id",
      "workers.io_address",
      "workers.io_url",
      isSilent.as("silent"),
    ]);
}

/** Time is the database's own here: it is what last_seen_at is written with. */
const isSilent = sql<boolean>`workers.last_seen_at < now() - ${sql.lit(WORKER_SILENCE_MS)} * interval '1 millisecond'`;

type RecordRow = Awaited<ReturnType<ReturnType<typeof records>["executeTakeFirstOrThrow"]>>;

function toRecord(row: RecordRow): SandboxRecord {
  const state = sandboxState(row.wish, row.observed);
  const tunnels = toTunnels(row.tunnels);
  const sandbox: Sandbox = {
    id: row.id,
    appId: row.app_id,
    appName: row.app_name,
    image: row.image,
    state,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    outcome: row.outcome ?? undefined,
    network: fromStoredPolicy(row.network),
    cpuMillis: row.cpu_millis,
    memoryMiB: row.memory_mib,
    lifetimeMs: row.lifetime_ms,
    command: row.command ?? undefined,
    unreachable: state !== "ended" && row.silent,
    name: row.name ?? undefined,
    tags: row.tags,
    idleTimeoutMs: row.idle_timeout_ms ?? undefined,
    sleepAfterMs: row.sleep_after_ms ?? undefined,
    diskMiB: row.disk_mib,
    asleep: state !== "ended" && row.asleep,
    dns: row.dns,
    ports: tunnels.map(({ port, kind, proxyProtocol }) => ({ port, kind, proxyProtocol })),
    inbound: row.inbound_cidrs ?? undefined,
    networkGeneration: row.network_wished,
    networkPending: isNetworkPending(row.observed, row.network_wished, row.network_generation),
  };
  const { instance_id: instanceId, worker_id: workerId, io_address: ioAddress, io_url: ioUrl } = row;
  return { sandbox, tunnels, instanceId, workerId, ioAddress, ioUrl };
}
