// Silent workers: shown, told of, given up by law 7 or by an operator; and what happens when one comes back.
import { silentLogger } from "@sallyport/appkit/logger";
import { EndReason, InstanceState, SandboxState, DesiredInstance_Wish as Wish } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { DIGEST, FakeWorker, idle, obedient, report, TERMINATED } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { WakeHub } from "./services/wake-hub.ts";
import { Watchdog } from "./services/watchdog.ts";
import type { Database } from "./store/database.ts";
import { openDatabase } from "./store/database.ts";

const LOST_AFTER_MS = 300_000;
let api: TestApi;
let database: Database;
let auth: Awaited<ReturnType<typeof makeWorkspace>>["auth"];
let watchdog: Watchdog;
let nowMs = 0;
beforeEach(async () => {
  api = await startTestApi();
  database = openDatabase({ kind: "socket", ...api.database }, silentLogger);
  ({ auth } = await makeWorkspace(api, "tenant"));
  watchdog = newWatchdog();
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

function newWatchdog(): Watchdog {
  return new Watchdog({ db: database.db, hub: new WakeHub(), logger: silentLogger, lostAfterMs: LOST_AFTER_MS });
}

/** A watchdog's looks over so long a time, one each 5 s; all but the silent workers are heard of before each. */
async function watchFor(ms: number): Promise<void> {
  for (const endMs = nowMs + ms; nowMs <= endMs; nowMs += 5_000) {
    await sql`UPDATE workers SET last_seen_at = greatest(clock_timestamp(), last_seen_at + interval '2 ms')
      WHERE last_seen_at > now() - interval '15 s'`.execute(database.db);
    await watchdog.look(nowMs);
  }
}

/** Workers with an image of their own each, so that a create chooses one. */
function start(number: number, onWish: OnWish = obedient): Promise<FakeWorker> {
  const workerId = `wk-01jd00000000000000000000${String(number).padStart(2, "0")}`;
  return new FakeWorker(api, onWish, { workerId, images: [{ name: `on-${number}`, digest: DIGEST }] }).ready();
}

async function create(number: number): Promise<string> {
  const request = createRequest({ image: `on-${number}`, waitMs: 5_000 });
  return (await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth)).sandbox?.id ?? "";
}

async function silence(...workers: FakeWorker[]): Promise<void> {
  for (const worker of workers) await worker.fallSilent();
  const ids = workers.map((worker) => worker.id);
  await api.sql("UPDATE workers SET last_seen_at = now() - interval '20 seconds' WHERE id = ANY ($1)", [ids]);
}

const sandbox = async (sandboxId: string) =>
  (await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, auth)).sandbox;
async function types(sandboxId: string): Promise<(string | undefined)[]> {
  const request = { sandboxId, afterSeq: 0, follow: false };
  const read = [];
  for await (const { event } of callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth)) {
    read.push(event?.type);
  }
  return read;
}
const declareLost = (workerId: string) => callUnary(api.admin, api.admin.declareWorkerLost, { workerId });
const LOST = { state: SandboxState.ENDED, outcome: { reason: EndReason.LOST } };

async function fleet(count: number): Promise<FakeWorker[] & AsyncDisposable> {
  const workers: FakeWorker[] = [];
  for (let number = 1; number <= count; number += 1) workers.push(await start(number));
  return Object.assign(workers, {
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
    },
  });
}

describe("a silent worker", () => {
  it("is told of once, and again when it is heard of", async () => {
    await using worker = await start(1);
    const id = await create(1);
    await watchFor(20_000);
    await silence(worker);
    await Promise.all([watchFor(20_000), newWatchdog().look(0)]);
    expect(await sandbox(id)).toMatchObject({ unreachable: true, state: SandboxState.RUNNING });
    expect((await types(id)).slice(3)).toEqual(["unreachable"]);
    await watchFor(20_000);
    await worker.send([]);
    await watchFor(5_000);
    expect(await sandbox(id)).toMatchObject({ unreachable: false });
    expect((await types(id)).slice(3)).toEqual(["unreachable", "reachable"]);
  });

  it("is given up after five minutes where one of five is silent", async () => {
    await using workers = await fleet(5);
    const [id, other] = [await create(1), await create(2)];
    await watchFor(5_000);
    await silence(...workers.slice(0, 1));
    await watchFor(LOST_AFTER_MS - 10_000);
    expect(await sandbox(id)).toMatchObject({ state: SandboxState.RUNNING, unreachable: true });
    await watchFor(20_000);
    expect(await sandbox(id)).toMatchObject(LOST);
    expect((await types(id)).slice(3)).toEqual(["unreachable", "ended"]);
    expect(await sandbox(other)).toMatchObject({ state: SandboxState.RUNNING });
  });

  it("is not given up while more than a fifth are silent, the only one included", async () => {
    await using workers = await fleet(4);
    const id = await create(1);
    await watchFor(5_000);
    await silence(...workers.slice(0, 1));
    await watchFor(2 * LOST_AFTER_MS);
    expect(await sandbox(id)).toMatchObject({ state: SandboxState.RUNNING, unreachable: true });
  });

  it("is not given up for silence that nobody was awake to hear", async () => {
    await using workers = await fleet(5);
    const id = await create(1);
    await silence(...workers.slice(0, 1));
    await watchFor(LOST_AFTER_MS - 10_000);
    nowMs += 60_000; // the database was away, or this process stood still
    await watchFor(LOST_AFTER_MS - 10_000);
    await newWatchdog().look(nowMs); // an api that has just begun
    expect(await sandbox(id)).toMatchObject({ state: SandboxState.RUNNING });
    await watchFor(20_000);
    expect(await sandbox(id)).toMatchObject(LOST);
  });

  it("that is given up and comes back is told to stop what it still has", async () => {
    await using worker = await start(1, async (self, desired) => {
      if (desired.wish === Wish.RUN) await self.report(desired, InstanceState.RUNNING);
    });
    const id = await create(1);
    await silence(worker);
    expect(await declareLost(worker.id)).toEqual({ sandboxes: 1 });
    expect(await sandbox(id)).toMatchObject({ ...LOST, unreachable: false });
    expect(await declareLost(worker.id)).toEqual({ sandboxes: 0 });
    await using back = await start(1, idle);
    const told = await eventually("the wish to stop", () => [...back.desired.values()][0]);
    expect(told).toMatchObject({ sandboxId: id, wish: Wish.STOP });
    // Its word on what it still runs changes nothing any more, and its word on the end settles the matter.
    await back.send([report(told, InstanceState.RUNNING, 70)]);
    expect(await sandbox(id)).toMatchObject(LOST);
    await back.send([{ ...report(told, InstanceState.ENDED, 71), outcome: TERMINATED }]);
    expect(await sandbox(id)).toMatchObject(LOST);
    const [row] = await api.sql("SELECT end_owed FROM instances WHERE id = $1", [told.instanceId]);
    expect(row).toEqual({ end_owed: false });
    await using again = await start(1, idle);
    expect(again.messages[0]?.instances).toEqual([]);
    expect(
      await create(1).then(
        () => "placed",
        () => "not started",
      ),
    ).toBe("not started");
  });

  it("that comes back on the stream it had is taken in again", async () => {
    await using worker = await start(1);
    await create(1);
    await silence(worker);
    await declareLost(worker.id);
    await worker.send([]);
    await eventually("the wish to stop", () =>
      [...worker.desired.values()].find((desired) => desired.wish === Wish.STOP),
    );
    const [row] = await api.sql("SELECT lost_at FROM workers");
    expect(row).toEqual({ lost_at: null });
    expect(await sandbox(await create(1))).toMatchObject({ state: SandboxState.RUNNING });
  });
});

describe("an operator", () => {
  it("sees workers, and declares lost only those that are not heard of", async () => {
    await using worker = await start(1);
    await create(1);
    const list = async () => (await callUnary(api.admin, api.admin.listWorkers, {})).workers;
    expect(await list()).toMatchObject([{ id: worker.id, unreachable: false, instances: 1 }]);
    const refused = { code: "FailedPrecondition", field: "worker_id" };
    expect(await refusal(declareLost(worker.id))).toMatchObject(refused);
    await silence(worker);
    expect(await list()).toMatchObject([{ unreachable: true, instances: 1 }]);
    await declareLost(worker.id);
    expect(await list()).toMatchObject([{ unreachable: true, instances: 0 }]);
    expect(await refusal(declareLost("x"))).toMatchObject({ code: "InvalidArgument", field: "worker_id" });
    expect(await refusal(declareLost("wk-01jd0000000000000000000099"))).toMatchObject({
      code: "NotFound",
      field: "worker_id",
    });
  });

  it("wakes who waits for a sandbox that ends by it", async () => {
    await using worker = await start(1);
    const sandboxId = await create(1);
    await silence(worker);
    const request = { sandboxId, waitMs: 30_000 };
    const waiting = callUnary(api.sandboxes, api.sandboxes.waitSandbox, request, auth);
    await declareLost(worker.id);
    expect((await waiting).sandbox).toMatchObject(LOST);
  });
});
