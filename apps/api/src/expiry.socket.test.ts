// What is forgotten after its time, and what the release before leaves behind.
import { randomUUID } from "node:crypto";
import { silentLogger } from "@sallyport/appkit/logger";
import { InstanceState, SandboxState, DesiredInstance_Wish as Wish } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { createTestDatabase, queryDatabase } from "@sallyport/testkit/postgres";
import { describe, expect, inject, it } from "vitest";
import { FakeEdge } from "../test/fake-edge.ts";
import { DIGEST, EXITED, FakeWorker, HELLO, obedient } from "../test/fake-worker.ts";
import {
  attachTestApi,
  bearer,
  createRequest,
  eventually,
  listRequest,
  makeToken,
  makeWorkspace,
  PLATFORM_ID,
  refusal,
  startTestApi,
} from "../test/fixtures.ts";
import { sweep } from "./services/janitor.ts";
import { openDatabase } from "./store/database.ts";
import { migrate } from "./store/migrate.ts";
import { MIGRATIONS } from "./store/migrations/index.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const never = new AbortController().signal;

describe("the janitor", () => {
  it("forgets keys after a day and ended sandboxes after seven, and nothing that lives", async () => {
    await using api = await startTestApi();
    await using worker = await new FakeWorker(api, obedient).ready();
    await using database = openDatabase({ kind: "socket", ...api.database }, silentLogger);
    const { auth } = await makeWorkspace(api, "tenant");
    const create = async (idempotencyKey: string) => {
      const request = createRequest({ idempotencyKey, waitMs: 5_000 });
      return (await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth)).sandbox?.id ?? "";
    };
    const get = (sandboxId: string) => callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, auth);
    const end = (sandboxId: string) =>
      callUnary(api.sandboxes, api.sandboxes.terminateSandbox, { sandboxId, waitMs: 5_000 }, auth);
    const [livingKey, endedKey] = [randomUUID(), randomUUID()];
    const [living, ended] = [await create(livingKey), await create(endedKey)];
    await end(ended);
    const now = Date.now();
    expect(await sweep(database.db, now, never)).toEqual({ keys: 0, sandboxes: 0 });
    expect(await sweep(database.db, now + DAY_MS - HOUR_MS, never)).toEqual({ keys: 0, sandboxes: 0 });
    expect(await create(livingKey)).toBe(living);
    expect(await sweep(database.db, now + DAY_MS + HOUR_MS, never)).toEqual({ keys: 2, sandboxes: 0 });
    expect(await create(livingKey)).not.toBe(living); // the key is free
    await get(ended);
    expect(await sweep(database.db, now + 7 * DAY_MS + HOUR_MS, never)).toEqual({ keys: 1, sandboxes: 1 });
    expect(await refusal(get(ended))).toMatchObject({ code: "NotFound" });
    expect((await get(living)).sandbox?.state).toBe(SandboxState.RUNNING);
    const left = await api.sql("SELECT DISTINCT sandbox_id FROM sandbox_events");
    expect(left.map((row) => row["sandbox_id"])).not.toContain(ended);
    expect(worker.ended).toBeUndefined();
  });

  it("goes on batch by batch until nothing is left, and stops when told to", async () => {
    await using api = await startTestApi();
    await using worker = await new FakeWorker(api, (self, desired) =>
      self.report(desired, InstanceState.ENDED, EXITED).then(() => undefined),
    ).ready();
    await using database = openDatabase({ kind: "socket", ...api.database }, silentLogger);
    const { auth } = await makeWorkspace(api, "tenant");
    const request = createRequest({ waitMs: 5_000 });
    const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    await api.sql(
      `INSERT INTO sandboxes (id, workspace_id, app_id, generation, image, network, cpu_millis, memory_mib, lifetime_ms, ended_at)
       SELECT 'sb-copy-' || number, workspace_id, app_id, 1, image, network, cpu_millis, memory_mib, lifetime_ms, ended_at
       FROM sandboxes, generate_series(1, 450) AS number WHERE id = $1`,
      [sandbox?.id],
    );
    await api.sql(
      `INSERT INTO idempotency_keys (workspace_id, key, request_hash, sandbox_id)
       SELECT workspace_id, 'copy-' || number, request_hash, sandbox_id FROM idempotency_keys, generate_series(1, 450) AS number`,
    );
    const later = Date.now() + 8 * DAY_MS;
    const aborted = AbortSignal.abort(new Error("stopping"));
    expect(await sweep(database.db, later, aborted)).toEqual({ keys: 0, sandboxes: 0 });
    expect(await sweep(database.db, later, never)).toEqual({ keys: 451, sandboxes: 451 });
    expect(worker.ended).toBeUndefined();
  });
});

describe("the release before", () => {
  /** What it writes for a create and when a worker opens its stream, word for word. */
  async function oldCreate(database: Parameters<typeof queryDatabase>[0], number: number): Promise<string> {
    const sandboxId = `sb-01jd00000000000000000000${String(number).padStart(2, "0")}`;
    const [workspace] = await queryDatabase(database, "SELECT id FROM workspaces WHERE name = 'default'");
    const workspaceId = workspace?.["id"];
    await queryDatabase(
      database,
      `INSERT INTO apps (id, workspace_id, name) VALUES ('ap-01jd0000000000000000000000', $1, 'default')
       ON CONFLICT (workspace_id, name) DO NOTHING`,
      [workspaceId],
    );
    await queryDatabase(
      database,
      `INSERT INTO workers (id, cpu_millis, memory_mib, max_instances, io_address, runsc_version, last_seen_at, session)
       VALUES ($1, 1000000, 1000000, 1000, '127.0.0.1:7351', '', now(), 1)
       ON CONFLICT (id) DO UPDATE SET last_seen_at = now(), session = workers.session + 1`,
      [HELLO.workerId],
    );
    const spec = {
      imageDigest: DIGEST,
      cpuMillis: 500,
      memoryMiB: 256,
      pids: 1_024,
      lifetimeMs: 60_000,
      env: [["A", "1"]],
      workdir: "/srv",
      network: { mode: "open", allow4: [], allow6: [], granted4: [], granted6: [], portRules: [], generation: 1 },
    };
    await queryDatabase(
      database,
      `WITH sandbox AS (
         INSERT INTO sandboxes (cpu_millis, memory_mib, generation, id, workspace_id, app_id, image, network, lifetime_ms, command, ended_at)
         SELECT 500, 256, 1, $1, id, (SELECT id FROM apps WHERE workspace_id = workspaces.id), 'default', '{"policy":"open"}', 60000, NULL, NULL
         FROM workspaces WHERE id = $2
       )
       INSERT INTO instances (cpu_millis, memory_mib, generation, id, sandbox_id, workspace_id, worker_id, wish, spec, observed, seq,
         network_generation, outcome, started_at, ended_at)
       VALUES (500, 256, 1, $3, $1, $2, $4, 'run', $5, 'unseen', 0, 0, NULL, NULL, NULL)`,
      [sandboxId, workspaceId, sandboxId.replace("sb-", "in-"), HELLO.workerId, JSON.stringify(spec)],
    );
    return sandboxId;
  }

  it("writes what this one reads, before the migration and after it", async () => {
    const database = await createTestDatabase(inject("postgres"), `t_${randomUUID().replaceAll("-", "")}`);
    await using opened = openDatabase({ kind: "socket", ...database }, silentLogger);
    const { "0001-foundation": foundation } = MIGRATIONS;
    if (foundation === undefined) throw new Error("there is no first migration");
    await migrate(opened.db, { "0001-foundation": foundation });
    await queryDatabase(database, `INSERT INTO settings VALUES ('platform_id', '${PLATFORM_ID}')`);
    await queryDatabase(
      database,
      "INSERT INTO workspaces (id, name) VALUES ('ws-01jd0000000000000000000000', 'default')",
    );
    const before = await oldCreate(database, 1);
    await migrate(opened.db);
    const after = await oldCreate(database, 2);
    await using api = await attachTestApi(database);
    await using worker = await new FakeWorker(api, obedient).ready();
    await using edge = await new FakeEdge(api, { id: "edge" }).ready();
    expect([...edge.routes.keys()].toSorted()).toEqual([before, after].toSorted());
    const auth = { metadata: bearer(await makeToken(api, "default")) };
    await eventually("both", () => (worker.desired.size === 2 ? true : undefined));
    for (const desired of worker.desired.values()) {
      expect(desired).toMatchObject({ wish: Wish.RUN, sleepGeneration: 0, asleep: false });
      expect(desired.spec).toMatchObject({
        workdir: "/srv",
        diskMib: 1_024,
        idleTimeoutMs: 0,
        sleepAfterMs: 0,
        uid: 0,
      });
    }
    const { sandboxes } = await callUnary(api.sandboxes, api.sandboxes.listSandboxes, listRequest(), auth);
    expect(sandboxes.map((sandbox) => sandbox.id)).toEqual([after, before]);
    expect(sandboxes[0]).toMatchObject({ tags: {}, diskMib: 1_024, asleep: false, unreachable: false });
    for (const sandboxId of [before, after]) {
      const request = { sandboxId, waitMs: 5_000 };
      const slept = await callUnary(api.sandboxes, api.sandboxes.sleepSandbox, request, auth);
      expect(slept.sandbox?.asleep).toBe(true);
      const ended = await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, request, auth);
      expect(ended.sandbox?.state).toBe(SandboxState.ENDED);
    }
    // Edges are told of what it goes on doing while this release is rolled out.
    const last = await oldCreate(database, 3);
    await eventually("its route", () => edge.routes.get(last));
  });
});
