// What outlives what: an api that is restarted or killed, a database that goes away, a schema that is newer than we are.
import { once } from "node:events";
import { chmod, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { systemClock } from "@sallyport/appkit/clock";
import { silentLogger } from "@sallyport/appkit/logger";
import { InstanceState, SandboxState } from "@sallyport/contracts";
import {
  AdminServiceClient,
  callServerStream,
  callUnary,
  SandboxServiceClient,
  WorkerServiceClient,
} from "@sallyport/contracts/grpc";
import { createTestDatabase, queryDatabase, startTestPostgres } from "@sallyport/testkit/postgres";
import type { Kysely } from "kysely";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { FakeWorker, HELLO, obedient, report } from "../test/fake-worker.ts";
import {
  bearer,
  createRequest,
  eventually,
  freshConfig,
  freshDatabase,
  makeWorkspace,
  refusal,
  startTestApi,
} from "../test/fixtures.ts";
import { health } from "../test/health.ts";
import { KilledApi } from "../test/killed-api.ts";
import { startApi } from "./app.ts";
import type { ApiConfig } from "./config.ts";
import { openDatabase } from "./store/database.ts";
import { migrate } from "./store/migrate.ts";
import { MIGRATIONS } from "./store/migrations/index.ts";

const deps = { logger: silentLogger, clock: systemClock, signal: new AbortController().signal };

describe("a restart", () => {
  it("keeps everything: sandboxes, tokens, keys; and answers those who wait", async () => {
    await using before = await startTestApi();
    const { auth } = await makeWorkspace(before, "tenant");
    const request = createRequest({ waitMs: 5_000 });
    let sandboxId = "";
    {
      await using _worker = await new FakeWorker(before, obedient).ready();
      const created = await callUnary(before.sandboxes, before.sandboxes.createSandbox, request, auth);
      sandboxId = created.sandbox?.id ?? "";
    }
    const waiting = refusal(
      callUnary(before.sandboxes, before.sandboxes.waitSandbox, { sandboxId, waitMs: 60_000 }, auth),
    );
    const [key] = await before.sql("SELECT id FROM signing_keys");
    await eventually("the wait", async () => ((await before.sql("SELECT 1 AS x")).length > 0 ? true : undefined));
    await using after = await before.restart();
    expect(await waiting).toMatchObject({ code: "Unavailable" });
    const again = await callUnary(after.sandboxes, after.sandboxes.createSandbox, request, auth);
    expect(again.sandbox).toMatchObject({ id: sandboxId, state: SandboxState.RUNNING });
    expect(await after.sql("SELECT id FROM signing_keys")).toEqual([key]);
  });

  it("by kill -9 at any moment loses nothing that was answered", { timeout: 120_000 }, async () => {
    const database = await freshDatabase();
    await using place = await freshConfig(database);
    const { config } = place;
    const api = new KilledApi(config);
    try {
      await api.start();
      const workers = new WorkerServiceClient(`unix:${config.workerSocket}`, credentials.createInsecure());
      const introduce = async () => {
        const stream = workers.watchDesired(HELLO);
        stream.on("error", () => undefined); // it breaks with the kill
        await once(stream, "data");
      };
      const token = await tokenFrom(config);
      const answered = new Map<string, string>();
      for (let round = 0; round < 2; round += 1) {
        await introduce();
        const creates = Array.from({ length: 15 }, (_, index) => `key-${round}-${index}`).map(async (key) => {
          const sandbox = await api.create(token, key);
          answered.set(key, sandbox);
        });
        await Promise.race(creates);
        await api.kill();
        await Promise.allSettled(creates);
        await api.start();
      }
      expect(answered.size).toBeGreaterThan(0);
      for (const [key, sandboxId] of answered) expect(await api.create(token, key)).toBe(sandboxId);
      const [row] = await queryDatabase(
        database,
        "SELECT (SELECT count(*)::int FROM sandboxes) AS sandboxes, (SELECT count(*)::int FROM instances) AS instances, (SELECT count(*)::int FROM idempotency_keys) AS keys",
      );
      expect(row?.["instances"]).toBe(row?.["sandboxes"]);
      expect(row?.["keys"]).toBe(row?.["sandboxes"]);
      const [instance] = await queryDatabase(database, "SELECT id FROM instances LIMIT 1");
      const reports = [report({ instanceId: String(instance?.["id"]), generation: 1 }, InstanceState.RUNNING, 1)];
      const acks = await callUnary(workers, workers.reportInstances, { workerId: HELLO.workerId, reports });
      expect(acks.acks).toMatchObject([{ unknown: false }]);
      workers.close();
    } finally {
      await api.kill();
    }
  });
});

async function tokenFrom(config: ApiConfig): Promise<string> {
  const admin = new AdminServiceClient(`unix:${config.operatorSocket}`, credentials.createInsecure());
  const { secret } = await callUnary(admin, admin.createApiToken, { workspaceName: "default", name: "x" });
  admin.close();
  return secret;
}

describe("a database that goes away", () => {
  it("is Unavailable, takes the api out of service, and is found again", { timeout: 120_000 }, async () => {
    await using postgres = await startTestPostgres({ durable: true });
    const database = await createTestDatabase(postgres, "outage");
    await using place = await freshConfig(database);
    const { config } = place;
    {
      await using api = await startApi(config, deps);
      const address = `127.0.0.1:${api.port}`;
      expect(await health(address)).toBe("SERVING");
      const token = await tokenFrom(config);
      const client = new SandboxServiceClient(address, credentials.createInsecure());
      const list = () => {
        const request = { pageSize: 0, pageToken: "", includeEnded: false, tags: {} };
        return callUnary(client, client.listSandboxes, request, { metadata: bearer(token) });
      };
      await list();
      await postgres.crash();
      expect(await refusal(list())).toMatchObject({ code: "Unavailable" });
      await eventually("out of service", async () => ((await health(address)) === "NOT_SERVING" ? true : undefined));
      await postgres.start();
      await eventually("back in service", async () => ((await health(address)) === "SERVING" ? true : undefined));
      await list();
      client.close();
    }
  });
});

describe("two apis on one database", () => {
  it("wake each other, and tell gateways each other's keys", async () => {
    await using one = await startTestApi();
    await using place = await freshConfig(one.database);
    const { config } = place;
    {
      // A process of its own, as it would be: what one process has done wakes it without the database.
      await using second = new KilledApi(config);
      await second.start();
      await using _worker = await new FakeWorker({ config }, obedient).ready();
      const { auth } = await makeWorkspace(one, "tenant");
      const tookMs: number[] = [];
      for (let index = 0; index < 5; index += 1) {
        const request = createRequest({ waitMs: 10_000 });
        const startedAt = performance.now();
        const created = await callUnary(one.sandboxes, one.sandboxes.createSandbox, request, auth);
        tookMs.push(performance.now() - startedAt);
        expect(created.sandbox?.state).toBe(SandboxState.RUNNING);
      }
      expect(Math.min(...tookMs)).toBeLessThan(1_900); // whoever is not woken looks after 2 s
      const stream = callServerStream(one.gateways, one.gateways.watchKeys, {});
      expect((await stream.next()).value).toMatchObject({ keys: [{}, {}] });
      await stream.return();
    }
  });
});

describe("a start", () => {
  it("is refused on another platform's database", async () => {
    await using api = await startTestApi();
    const other = { ...api.config, platformId: "01jd0000000000000000000009" };
    await expect(startApi(other, deps)).rejects.toThrow(/belongs to the platform/);
  });

  it("makes a master key that only the api can read, and keeps it", async () => {
    await using api = await startTestApi();
    const path = join(api.config.stateDir, "master.key");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const key = await readFile(path);
    expect(key).toHaveLength(32);
    await using after = await api.restart();
    expect(await readFile(path)).toEqual(key);
    await chmod(path, 0o644);
    await expect(after.restart()).rejects.toThrow(/mode must be 0600/);
  });

  it("opens sockets for those whom they are for", async () => {
    await using api = await startTestApi();
    const mode = async (path: string) => (await stat(path)).mode & 0o777;
    expect(await mode(api.config.operatorSocket)).toBe(0o600);
    expect(await mode(api.config.workerSocket)).toBe(0o600);
    expect(await mode(api.config.gatewaySocket)).toBe(0o660);
    expect(await mode(api.config.edgeSocket)).toBe(0o660);
  });

  it("works on a schema that is one release ahead, and migrates once however many begin", async () => {
    const where = await freshDatabase();
    await using database = openDatabase({ kind: "socket", ...where }, silentLogger);
    const up = async (db: Kysely<unknown>) => {
      await sql`ALTER TABLE apps ADD COLUMN note text`.execute(db);
    };
    const next = { ...MIGRATIONS, "9999-next": { up } };
    await Promise.all([migrate(database.db, next), migrate(database.db, next)]);
    await migrate(database.db);
    await using place = await freshConfig(where);
    const { config } = place;
    await (await startApi(config, deps))[Symbol.asyncDispose]();
  });
});
