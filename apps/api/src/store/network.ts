// What instances may reach: the newest policy and rules of each, numbered in the order of their commits; and what private
// space the operator granted a workspace.
import type { NetworkPolicy, NetworkRules } from "@sallyport/policy";
import { sql } from "kysely";
import type { ObservedState, Wish } from "../domain/instance-state.ts";
import type { NetworkCause } from "../domain/network.ts";
import { fromStoredPolicy, toStoredPolicy } from "../domain/network.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { workerTopic } from "./topics.ts";

/** An instance whose policy is to change. */
export interface NetworkPlace {
  readonly sandboxId: string;
  readonly instanceId: string;
  readonly workerId: string;
}

/** What the operator granted a workspace. */
export async function readGrants(workspaceId: string, db: Db): Promise<readonly string[]> {
  const row = await db
    .selectFrom("workspaces")
    .select("granted_cidrs")
    .where("id", "=", workspaceId)
    .executeTakeFirstOrThrow();
  return row.granted_cidrs;
}

/** The same, and until commit no grant is made or taken back. Creates and other policies go on. */
export async function holdGrants(workspaceId: string, db: Db): Promise<readonly string[]> {
  const row = await db
    .selectFrom("workspaces")
    .select("granted_cidrs")
    .where("id", "=", workspaceId)
    .forKeyShare()
    .executeTakeFirstOrThrow();
  return row.granted_cidrs;
}

/** The same, and until commit nobody compiles a policy against it. */
export async function lockGrants(workspaceId: string, db: Db): Promise<readonly string[]> {
  const row = await db
    .selectFrom("workspaces")
    .select("granted_cidrs")
    .where("id", "=", workspaceId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  return row.granted_cidrs;
}

export async function writeGrants(workspaceId: string, db: Db, cidrs: readonly string[]): Promise<void> {
  await db
    .updateTable("workspaces")
    .set({ granted_cidrs: [...cidrs] })
    .where("id", "=", workspaceId)
    .execute();
}

/** Where an instance is with its policies. */
export interface NetworkState {
  readonly wish: Wish;
  readonly observed: ObservedState;
  /** Numbers the newest policy. */
  readonly wished: number;
  /** Numbers the newest that a kernel has, as far as was reported. */
  readonly applied: number;
}

export function readNetworkState(workspaceId: string, db: Db, instanceId: string): Promise<NetworkState | undefined> {
  return stateQuery(workspaceId, db, instanceId).executeTakeFirst();
}

/** The same, and until commit it stays so. */
export function lockNetworkState(workspaceId: string, db: Db, instanceId: string): Promise<NetworkState | undefined> {
  return stateQuery(workspaceId, db, instanceId).forNoKeyUpdate().executeTakeFirst();
}

function stateQuery(workspaceId: string, db: Db, instanceId: string) {
  return db
    .selectFrom("instances")
    .select(["wish", "observed", "network_wished as wished", "network_generation as applied"])
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", instanceId);
}

/**
 * Makes this the newest policy of a locked instance; its worker is woken at commit. Answers with its number; undefined
 * when policy and rules are the newest already.
 */
export async function wishNetwork(
  workspaceId: string,
  db: Db,
  place: NetworkPlace,
  wanted: { readonly policy: NetworkPolicy; readonly rules: NetworkRules; readonly cause: NetworkCause },
): Promise<number | undefined> {
  const policy = JSON.stringify(toStoredPolicy(wanted.policy));
  const rules = JSON.stringify(wanted.rules);
  const { instanceId, sandboxId, workerId } = place;
  const { rows } = await sql<{ generation: number }>`
    WITH same AS (
      SELECT FROM instances JOIN sandboxes ON sandboxes.id = instances.sandbox_id
      WHERE instances.id = ${instanceId} AND sandboxes.network = ${policy}::jsonb
        AND (instances.spec->'network') - 'generation' = ${rules}::jsonb
    ), wished AS (
      UPDATE instances SET network_wished = network_wished + 1, network_cause = ${wanted.cause}, spec = jsonb_set(
        spec, '{network}', ${rules}::jsonb || jsonb_build_object('generation', network_wished + 1)
      )
      WHERE id = ${instanceId} AND sandbox_id = ${sandboxId} AND workspace_id = ${workspaceId}
        AND NOT EXISTS (SELECT FROM same)
      RETURNING sandbox_id, network_wished AS generation, ${notifying(workerTopic(workerId))}
    ), stated AS (
      UPDATE sandboxes SET network = ${policy}::jsonb FROM wished WHERE sandboxes.id = wished.sandbox_id
    )
    SELECT generation FROM wished`.execute(db);
  return rows[0]?.generation;
}

/** A living instance with an allow list. */
export interface AllowListed extends NetworkPlace {
  readonly policy: NetworkPolicy;
}

/** All of a workspace that are to run, locked in the order of their ids. */
export async function lockAllowListed(workspaceId: string, db: Db): Promise<AllowListed[]> {
  const rows = await db
    .selectFrom("instances")
    .innerJoin("sandboxes", "sandboxes.id", "instances.sandbox_id")
    .select(["instances.id", "instances.sandbox_id", "instances.worker_id", "sandboxes.network"])
    .where("instances.workspace_id", "=", workspaceId)
    .where("instances.ended_at", "is", null)
    .where("instances.wish", "=", "run")
    .where(sql<boolean>`sandboxes.network->'policy' ? 'allow'`)
    .orderBy("instances.id")
    .forNoKeyUpdate("instances")
    .execute();
  return rows.map((row) => ({
    instanceId: row.id,
    sandboxId: row.sandbox_id,
    workerId: row.worker_id,
    policy: fromStoredPolicy(row.network),
  }));
}
