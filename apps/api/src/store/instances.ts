// Instances: what is wished of each worker, and what its reports have made of it.
import { sql } from "kysely";
import type { Observation, Wish } from "../domain/instance-state.ts";
import type { DesiredInstance } from "../domain/sandbox.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { sandboxTopic, workerTopic } from "./topics.ts";

/** Wishes that a living instance of a sandbox stops. Changes nothing when that is wished already, or it has ended. */
export async function wishStop(
  workspaceId: string,
  db: Db,
  instance: { readonly sandboxId: string; readonly workerId: string },
): Promise<void> {
  await db
    .updateTable("instances")
    .set({ wish: "stop" })
    .where("workspace_id", "=", workspaceId)
    .where("sandbox_id", "=", instance.sandboxId)
    .where("wish", "=", "run")
    .where("observed", "<>", "ended")
    .returning([notifying(workerTopic(instance.workerId)), notifying(sandboxTopic(instance.sandboxId), "told_waiters")])
    .execute();
}

/** Names what a worker was told of an instance: another wish is another token. */
export function wishToken(instance: { readonly instanceId: string; readonly wish: Wish }): string {
  return `${instance.instanceId} ${instance.wish}`;
}

/** What is wished of a worker, but for what it was told already; all of it when nothing was told. */
export async function listDesired(db: Db, workerId: string, told: readonly string[]): Promise<DesiredInstance[]> {
  const rows = await db
    .selectFrom("instances")
    .select([
      "id",
      "sandbox_id",
      "generation",
      "wish",
      // Not sent for a stop, so not read for one.
      (select) => select.case().when("wish", "=", "run").then(select.ref("spec")).end().as("spec"),
    ])
    .where("worker_id", "=", workerId)
    .where("ended_at", "is", null)
    .where(sql<boolean>`NOT (id || ' ' || wish = ANY (${told}))`)
    .orderBy("id")
    .execute();
  return rows.map((row) => ({
    instanceId: row.id,
    sandboxId: row.sandbox_id,
    generation: row.generation,
    wish: row.wish,
    spec: row.spec ?? undefined,
  }));
}

/** What the api has observed of one instance. */
export interface ObservedInstance extends Observation {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
}

/** A worker's instances of these ids, locked in the order of their ids. */
export async function lockObserved(db: Db, workerId: string, ids: readonly string[]): Promise<ObservedInstance[]> {
  const rows = await db
    .selectFrom("instances")
    .select([
      "id",
      "sandbox_id",
      "generation",
      "observed",
      "seq",
      "started_at",
      "ended_at",
      "outcome",
      "network_generation",
    ])
    .where("worker_id", "=", workerId)
    .where(sql<boolean>`id = ANY (${ids})`)
    .orderBy("id")
    .forNoKeyUpdate()
    .execute();
  return rows.map((row) => ({
    instanceId: row.id,
    sandboxId: row.sandbox_id,
    generation: row.generation,
    observed: row.observed,
    seq: row.seq,
    startedAt: row.started_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    outcome: row.outcome ?? undefined,
    networkGeneration: row.network_generation,
  }));
}

/** Writes what was observed of a locked instance; with its end ends its sandbox. Wakes who waits for it at commit. */
export async function writeObserved(db: Db, instance: ObservedInstance): Promise<void> {
  await db
    .with("ended", (query) =>
      query
        .updateTable("sandboxes")
        .set({ ended_at: instance.endedAt ?? null })
        .where("id", "=", instance.sandboxId)
        .where("generation", "=", instance.generation)
        .where(sql<boolean>`${instance.observed === "ended"}`),
    )
    .updateTable("instances")
    .set({
      observed: instance.observed,
      seq: instance.seq,
      started_at: instance.startedAt ?? null,
      ended_at: instance.endedAt ?? null,
      outcome: instance.outcome === undefined ? null : JSON.stringify(instance.outcome),
      network_generation: instance.networkGeneration,
      // The tenant's environment may hold secrets, and is of no use any more.
      ...(instance.observed === "ended" ? { spec: sql`jsonb_set(spec, '{env}', '{}')` } : {}),
    })
    .where("id", "=", instance.instanceId)
    .returning(notifying(sandboxTopic(instance.sandboxId)))
    .execute();
}
