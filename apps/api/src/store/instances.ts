// Instances: what is wished of each worker, and what its reports have made of it.
import { sql } from "kysely";
import type { Observation, Wish } from "../domain/instance-state.ts";
import type { NetworkCause } from "../domain/network.ts";
import type { DesiredInstance } from "../domain/sandbox.ts";
import { wholeSpec } from "../domain/sandbox.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { sandboxTopic, workerTopic } from "./topics.ts";

/** Wishes that a living instance of a sandbox stops. False when that is wished already, or it has ended. */
export async function wishStop(
  workspaceId: string,
  db: Db,
  instance: { readonly sandboxId: string; readonly workerId: string },
): Promise<boolean> {
  const rows = await db
    .updateTable("instances")
    .set({ wish: "stop" })
    .where("workspace_id", "=", workspaceId)
    .where("sandbox_id", "=", instance.sandboxId)
    .where("wish", "=", "run")
    .where("observed", "<>", "ended")
    .returning([notifying(workerTopic(instance.workerId)), notifying(sandboxTopic(instance.sandboxId), "told_waiters")])
    .execute();
  return rows.length > 0;
}

/**
 * Wishes that a running instance of a sandbox sleeps or wakes; answers with the generation of that wish, which is an
 * older one's when the same is wished already and was not followed yet. Undefined when it does not run, or is to stop.
 */
export async function wishSleep(
  workspaceId: string,
  db: Db,
  instance: { readonly sandboxId: string; readonly instanceId: string; readonly workerId: string },
  asleep: boolean,
): Promise<number | undefined> {
  const row = await db
    .updateTable("instances")
    .set({
      sleep_wish: asleep,
      sleep_generation: sql<number>`sleep_generation
        + CASE WHEN sleep_generation > sleep_followed AND sleep_wish = ${asleep} THEN 0 ELSE 1 END`,
    })
    .where("workspace_id", "=", workspaceId)
    .where("sandbox_id", "=", instance.sandboxId)
    .where("id", "=", instance.instanceId)
    .where("wish", "=", "run")
    .where("observed", "=", "running")
    .returning(["sleep_generation", notifying(workerTopic(instance.workerId))])
    .executeTakeFirst();
  return row?.sleep_generation;
}

/** Whether an instance of this workspace has followed a wish to sleep or to wake, or is past it. */
export async function hasFollowedSleep(
  workspaceId: string,
  db: Db,
  instanceId: string,
  generation: number,
): Promise<boolean> {
  const row = await db
    .selectFrom("instances")
    .select(["sleep_followed", "observed"])
    .where("workspace_id", "=", workspaceId)
    .where("id", "=", instanceId)
    .executeTakeFirst();
  return row === undefined || row.observed === "ended" || row.sleep_followed >= generation;
}

/** Names what a worker was told of an instance: another wish is another token. */
export function wishToken(instance: {
  readonly instanceId: string;
  readonly wish: Wish;
  readonly sleepGeneration: number;
  readonly networkGeneration: number;
}): string {
  const { instanceId, wish, sleepGeneration, networkGeneration } = instance;
  return `${instanceId} ${wish} ${sleepGeneration} ${networkGeneration}`;
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
      "sleep_generation",
      "sleep_wish",
      "network_wished",
      // Not sent for a stop, so not read for one.
      (select) => select.case().when("wish", "=", "run").then(select.ref("spec")).end().as("spec"),
    ])
    .where("worker_id", "=", workerId)
    .where(({ or, eb }) => or([eb("ended_at", "is", null), eb("end_owed", "=", true)]))
    .where(sql<boolean>`NOT (
      id || ' ' || wish || ' ' || sleep_generation || ' ' || network_wished = ANY (${told})
    )`)
    .orderBy("id")
    .execute();
  return rows.map((row) => ({
    instanceId: row.id,
    sandboxId: row.sandbox_id,
    generation: row.generation,
    wish: row.wish,
    spec: row.spec === null ? undefined : wholeSpec(row.spec),
    sleepGeneration: row.sleep_generation,
    asleep: row.sleep_wish,
    networkGeneration: row.network_wished,
  }));
}

/** What the api has observed of one instance. */
export interface ObservedInstance extends Observation {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  /** The newest event of the worker's that was written. */
  readonly eventSeq: number;
  /** Over for us; its worker was given up, and has not said so yet. */
  readonly endOwed: boolean;
  /** Numbers its newest policy. */
  readonly networkWished: number;
  /** Why there is that one; undefined for the first. */
  readonly networkCause: NetworkCause | undefined;
}

/** A worker's instances, of these ids or else all living ones, locked in the order of their ids. */
export async function lockObserved(db: Db, workerId: string, ids?: readonly string[]): Promise<ObservedInstance[]> {
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
      "asleep",
      "sleep_followed",
      "event_seq",
      "end_owed",
      "network_wished",
      "network_cause",
    ])
    .where("worker_id", "=", workerId)
    .where(ids === undefined ? sql<boolean>`ended_at IS NULL` : sql<boolean>`id = ANY (${ids})`)
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
    asleep: row.asleep,
    sleepFollowed: row.sleep_followed,
    eventSeq: row.event_seq,
    endOwed: row.end_owed,
    networkWished: row.network_wished,
    networkCause: row.network_cause ?? undefined,
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
      asleep: instance.asleep,
      sleep_followed: instance.sleepFollowed,
      event_seq: instance.eventSeq,
      end_owed: instance.endOwed,
      // A lost instance is still to be stopped, should its worker come back.
      ...(instance.endOwed ? { wish: "stop" as const } : {}),
      // The tenant's environment may hold secrets, and is of no use any more.
      ...(instance.observed === "ended" ? { spec: sql`jsonb_set(spec, '{env}', '{}')` } : {}),
    })
    .where("id", "=", instance.instanceId)
    .returning(notifying(sandboxTopic(instance.sandboxId)))
    .execute();
}
