// Workers: what each has to give, and when it was heard of last.
import { sql } from "kysely";
import { WORKER_SILENCE_MS } from "../domain/limits.ts";
import type { Candidate } from "../domain/placement.ts";
import type { Db } from "./database.ts";
import { notifying } from "./notifications.ts";
import { workerTopic } from "./topics.ts";

/** What a worker says of itself. */
export interface WorkerOffer {
  readonly workerId: string;
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly maxInstances: number;
  readonly ioAddress: string;
  /** Base URL of the same over HTTP; empty when there is none. */
  readonly ioUrl: string;
  readonly runscVersion: string;
}

/** Writes down a worker that opens its stream; returns the number of this stream, which ends the streams before it. */
export async function registerWorker(db: Db, offer: WorkerOffer): Promise<number> {
  const values = {
    cpu_millis: offer.cpuMillis,
    memory_mib: offer.memoryMiB,
    max_instances: offer.maxInstances,
    io_address: offer.ioAddress,
    io_url: offer.ioUrl,
    runsc_version: offer.runscVersion,
    last_seen_at: sql<Date>`now()`,
    lost_at: null,
  };
  const row = await db
    .insertInto("workers")
    .values({ ...values, id: offer.workerId, session: 1 })
    .onConflict((conflict) =>
      conflict.column("id").doUpdateSet({ ...values, session: sql<number>`workers.session + 1` }),
    )
    .returning(["session", notifying(workerTopic(offer.workerId))])
    .executeTakeFirstOrThrow();
  return row.session;
}

/** The number of a worker's newest stream. */
export async function currentSession(db: Db, workerId: string): Promise<number | undefined> {
  const row = await db.selectFrom("workers").select("session").where("id", "=", workerId).executeTakeFirst();
  return row?.session;
}

/** Notes that a worker was heard of; false when it is not registered. Writes at most once a second. */
export async function touchWorker(db: Db, workerId: string): Promise<boolean> {
  const row = await db
    .with("touched", (query) =>
      query
        .updateTable("workers")
        .set({ last_seen_at: sql<Date>`now()`, lost_at: null })
        .where("id", "=", workerId)
        .where(sql<boolean>`last_seen_at < now() - interval '1 second'`),
    )
    .selectFrom("workers")
    .select("id")
    .where("id", "=", workerId)
    .executeTakeFirst();
  return row !== undefined;
}

/** A connected worker that has the image asked for. */
export interface ImageCandidate extends Candidate {
  readonly digest: string;
}

/**
 * The connected workers that have an image, locked, with what is reserved of each. Two statements on purpose: the second
 * must see what was committed while the first waited for its locks.
 */
export async function lockCandidates(db: Db, image: string): Promise<ImageCandidate[]> {
  const workers = await db
    .selectFrom("workers")
    .innerJoin("images", "images.worker_id", "workers.id")
    .select(["workers.id", "cpu_millis", "memory_mib", "max_instances", "digest"])
    .where("images.name", "=", image)
    .where(isConnected)
    .orderBy("workers.id")
    .forNoKeyUpdate("workers")
    .execute();
  if (workers.length === 0) return [];
  const reserved = await db
    .selectFrom("instances")
    .select(({ fn }) => [
      "worker_id",
      fn.sum<number>("cpu_millis").as("cpu_millis"),
      fn.sum<number>("memory_mib").as("memory_mib"),
      fn.countAll<number>().as("instances"),
    ])
    .where(sql<boolean>`worker_id = ANY (${workers.map((worker) => worker.id)})`)
    .where("ended_at", "is", null)
    .groupBy("worker_id")
    .execute();
  const byWorker = new Map(reserved.map((row) => [row.worker_id, row]));
  return workers.map((worker) => ({
    workerId: worker.id,
    digest: worker.digest,
    cpuMillis: worker.cpu_millis,
    memoryMiB: worker.memory_mib,
    maxInstances: worker.max_instances,
    reservedCpuMillis: byWorker.get(worker.id)?.cpu_millis ?? 0,
    reservedMemoryMiB: byWorker.get(worker.id)?.memory_mib ?? 0,
    instances: byWorker.get(worker.id)?.instances ?? 0,
  }));
}

/** A worker to be judged by its silence. */
export interface WorkerSighting {
  readonly workerId: string;
  readonly lastSeenAt: Date;
  /** Whether its sandboxes were told of as unreachable. */
  readonly isUnreachable: boolean;
}

/** All workers that have not been given up, with their newest signs of life. */
export async function listSightings(db: Db): Promise<WorkerSighting[]> {
  const rows = await db
    .selectFrom("workers")
    .select(["id", "last_seen_at", "unreachable_since"])
    .where("lost_at", "is", null)
    .execute();
  return rows.map((row) => ({
    workerId: row.id,
    lastSeenAt: row.last_seen_at,
    isUnreachable: row.unreachable_since !== null,
  }));
}

/** A locked worker: until commit nothing is placed on it, and no sign of life of it is written. */
export interface LockedWorker {
  readonly lastSeenAt: Date;
  readonly isHeard: boolean;
  readonly isUnreachable: boolean;
  readonly isLost: boolean;
}

export async function lockWorker(db: Db, workerId: string): Promise<LockedWorker | undefined> {
  const row = await db
    .selectFrom("workers")
    .select(["last_seen_at", "unreachable_since", "lost_at", isConnected.as("connected")])
    .where("id", "=", workerId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    lastSeenAt: row.last_seen_at,
    isHeard: row.connected,
    isUnreachable: row.unreachable_since !== null,
    isLost: row.lost_at !== null,
  };
}

/** Notes what is thought of a locked worker. */
export async function markWorker(db: Db, workerId: string, mark: "reachable" | "unreachable" | "lost"): Promise<void> {
  const now = sql<Date>`now()`;
  const marks = {
    reachable: { unreachable_since: null },
    unreachable: { unreachable_since: now },
    lost: { lost_at: now, unreachable_since: sql<Date>`coalesce(unreachable_since, now())` },
  } as const;
  await db.updateTable("workers").set(marks[mark]).where("id", "=", workerId).execute();
}

/** Whether any worker is connected. */
export async function isAnyWorkerConnected(db: Db): Promise<boolean> {
  const row = await db.selectFrom("workers").select("id").where(isConnected).limit(1).executeTakeFirst();
  return row !== undefined;
}

/** The ids of all connected workers. */
export async function listConnectedWorkers(db: Db): Promise<string[]> {
  const rows = await db.selectFrom("workers").select("id").where(isConnected).orderBy("id").execute();
  return rows.map((row) => row.id);
}

/** For the operator: a worker as the api sees it. */
export interface WorkerStatusRow {
  readonly id: string;
  readonly connected: boolean;
  readonly last_seen_at: Date;
  readonly cpu_millis: number;
  readonly memory_mib: number;
  readonly runsc_version: string;
  readonly instances: number;
}

/** For the operator: all workers, with the instances on each that have not ended. */
export function listWorkers(db: Db): Promise<WorkerStatusRow[]> {
  return db
    .selectFrom("workers")
    .select((select) => [
      "id",
      "last_seen_at",
      "cpu_millis",
      "memory_mib",
      "runsc_version",
      isConnected.as("connected"),
      select
        .selectFrom("instances")
        .select((count) => count.fn.countAll<number>().as("count"))
        .whereRef("instances.worker_id", "=", "workers.id")
        .where("instances.ended_at", "is", null)
        .$castTo<{ count: number }>()
        .as("instances"),
    ])
    .orderBy("id")
    .execute()
    .then((rows) => rows.map((row) => ({ ...row, instances: row.instances ?? 0 })));
}

const isConnected = sql<boolean>`workers.last_seen_at >= now() - ${sql.lit(WORKER_SILENCE_MS)} * interval '1 millisecond'`;
