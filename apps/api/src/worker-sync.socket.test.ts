// The talk with workers: wishes down, observations up, in whatever order they come.

import { fromGrpcError } from "@sallyport/appkit/errors";
import { EndReason, InstanceState, SandboxState, DesiredInstance_Wish as Wish } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DIGEST, EXITED, FakeWorker, HELLO, idle, report, TERMINATED } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let auth: Awaited<ReturnType<typeof makeWorkspace>>["auth"];
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, idle).ready();
  ({ auth } = await makeWorkspace(api, "tenant"));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

/** A sandbox whose wish has come down. */
async function wished(change = {}) {
  const created = await callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest(change), auth);
  return eventually("the wish", () =>
    [...worker.desired.values()].find((one) => one.sandboxId === created.sandbox?.id),
  );
}

async function state(sandboxId: string) {
  return (await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, auth)).sandbox;
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not there");
  return value;
}

describe("reports", () => {
  it("apply only when newer, and never after an end", async () => {
    const one = await wished();
    await worker.send([report(one, InstanceState.RUNNING, 5)]);
    expect(await state(one.sandboxId)).toMatchObject({ state: SandboxState.RUNNING });
    for (const old of [report(one, InstanceState.STARTING, 4), report(one, InstanceState.STOPPING, 5)]) {
      expect((await worker.send([old])).acks).toEqual([{ instanceId: one.instanceId, seq: old.seq, unknown: false }]);
    }
    expect(await state(one.sandboxId)).toMatchObject({ state: SandboxState.RUNNING });
    await worker.send([{ ...report(one, InstanceState.ENDED, 7), outcome: EXITED }]);
    const late = [
      report(one, InstanceState.RUNNING, 8),
      { ...report(one, InstanceState.ENDED, 9), outcome: TERMINATED },
    ];
    expect((await worker.send(late)).acks).toMatchObject([{ unknown: false }, { unknown: false }]);
    expect(await state(one.sandboxId)).toMatchObject({
      state: SandboxState.ENDED,
      outcome: { reason: EndReason.EXITED },
    });
  });

  it("may come many at once, several about one instance", async () => {
    const [one, two] = [await wished(), await wished()];
    const reports = [
      report(two, InstanceState.STARTING, 1),
      report(one, InstanceState.RUNNING, 1),
      report(two, InstanceState.RUNNING, 2),
      { ...report(one, InstanceState.ENDED, 2), outcome: EXITED },
    ];
    expect((await worker.send(reports)).acks).toHaveLength(4);
    const ended = await state(one.sandboxId);
    expect(ended).toMatchObject({ state: SandboxState.ENDED });
    expect(ended?.startedAt).toBeInstanceOf(Date);
    expect(await state(two.sandboxId)).toMatchObject({ state: SandboxState.RUNNING });
  });

  it("do not lock each other out when they come at once in any order", async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => wished()));
    const batches = Array.from({ length: 8 }, (_, round) => {
      const reports = made.map((one) => report(one, InstanceState.RUNNING, round + 1));
      return worker.send(round % 2 === 0 ? reports : reports.toReversed());
    });
    const answers = await Promise.all(batches);
    expect(answers.every((answer) => answer.acks.every((ack) => !ack.unknown))).toBe(true);
  });

  it("about what the api does not know are acknowledged as such", async () => {
    const one = await wished();
    const stranger = { instanceId: "in-01jd0000000000000000000000", generation: 1 };
    const reports = [
      report(stranger, InstanceState.RUNNING, 1),
      report({ ...one, generation: 2 }, InstanceState.RUNNING, 2),
      report({ ...one, generation: 0 }, InstanceState.RUNNING, 3),
    ];
    const { acks } = await worker.send(reports);
    expect(acks.map((ack) => ack.unknown)).toEqual([true, true, false]);
    expect(await state(one.sandboxId)).toMatchObject({ state: SandboxState.PENDING });
  });

  it("of one worker say nothing of another's instances", async () => {
    const one = await wished();
    await using other = await new FakeWorker(api, idle, {
      workerId: "wk-01jd0000000000000000000009",
      images: [],
    }).ready();
    expect((await other.send([report(one, InstanceState.RUNNING, 1)])).acks).toMatchObject([{ unknown: true }]);
    expect(await state(one.sandboxId)).toMatchObject({ state: SandboxState.PENDING });
  });

  it("keep prose that no database would, and refuse what is no state", async () => {
    const one = await wished();
    expect(await refusal(worker.send([report(one, InstanceState.UNSPECIFIED, 1)]))).toMatchObject({
      code: "InvalidArgument",
      field: "reports[0].state",
    });
    const outcome = { reason: EndReason.INIT_FAILURE, exitCode: 1, message: `a\0${"x".repeat(5_000)}` };
    await worker.send([{ ...report(one, InstanceState.ENDED, 1), outcome }]);
    expect((await state(one.sandboxId))?.outcome?.message).toMatch(/^a\uFFFDx{1998}$/);
  });

  it("need a worker that has introduced itself", async () => {
    const { client } = worker;
    const stranger = callUnary(client, client.reportInstances, {
      workerId: "wk-01jd0000000000000000000003",
      reports: [],
    });
    expect(await refusal(stranger)).toMatchObject({ code: "FailedPrecondition", field: "worker_id" });
  });
});

describe("wishes", () => {
  it("come whole to a worker that comes back, without what has ended", async () => {
    const workerId = "wk-01jd0000000000000000000005";
    const images = [{ name: "special", digest: DIGEST }];
    const [running, ended, stopped] = await (async () => {
      await using first = await new FakeWorker(api, idle, { workerId, images }).ready();
      const made = [];
      for (let index = 0; index < 3; index += 1) {
        const request = createRequest({ image: "special" });
        const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
        made.push(
          await eventually("the wish", () => [...first.desired.values()].find((one) => one.sandboxId === sandbox?.id)),
        );
      }
      await first.send([{ ...report(must(made[1]), InstanceState.ENDED, 1), outcome: EXITED }]);
      return made;
    })();
    const request = { sandboxId: stopped?.sandboxId ?? "", waitMs: 0 };
    await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, request, auth);
    await using second = await new FakeWorker(api, idle, { workerId, images }).ready();
    expect(second.messages[0]).toMatchObject({ full: true });
    const told = new Map(second.messages[0]?.instances.map((instance) => [instance.instanceId, instance]));
    expect(told.get(running?.instanceId ?? "")).toMatchObject({
      wish: Wish.RUN,
      generation: 1,
      spec: { imageDigest: DIGEST },
    });
    expect(told.get(stopped?.instanceId ?? "")).toMatchObject({ wish: Wish.STOP, spec: undefined });
    expect(told.has(ended?.instanceId ?? "")).toBe(false);
  });

  it("go to one stream of a worker: a second ends the first", async () => {
    const hello = { workerId: "wk-01jd0000000000000000000006", images: [] };
    await using first = await new FakeWorker(api, idle, hello).ready();
    await using _second = await new FakeWorker(api, idle, hello).ready();
    const end = await eventually("the end of the first stream", () => first.ended);
    expect(fromGrpcError(end)).toMatchObject({ code: "Cancelled" });
  });

  it("never make a message that is too long to be taken", async () => {
    const workerId = "wk-01jd0000000000000000000007";
    const images = [{ name: "big", digest: DIGEST }];
    const env = { A: "x".repeat(120 * 1024) };
    const argv = ["a", "y".repeat(120 * 1024)];
    await using first = await new FakeWorker(api, idle, { workerId, images }).ready();
    for (let index = 0; index < 8; index += 1) {
      const request = createRequest({ image: "big", env, command: { argv } });
      await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    }
    await eventually("all wishes", () => (first.desired.size === 8 ? true : undefined));
    await using second = await new FakeWorker(api, idle, { workerId, images }).ready();
    const snapshot = await eventually("a snapshot", () => second.messages.find((message) => message.full));
    expect(snapshot.instances).toHaveLength(8);
    const carried = second.messages.slice(0, second.messages.indexOf(snapshot)).flatMap((message) => message.instances);
    const bare = snapshot.instances.filter((one) => one.spec === undefined).map((one) => one.instanceId);
    expect(bare.length).toBeGreaterThan(0);
    expect(carried.map((one) => one.instanceId)).toEqual(bare);
    expect(carried.every((one) => one.spec !== undefined)).toBe(true);
  });

  it.each([
    ["worker_id", "InvalidArgument", { workerId: "x" }],
    ["platform_id", "FailedPrecondition", { platformId: "01jd0000000000000000000009" }],
    ["cpu_millis", "InvalidArgument", { cpuMillis: 0 }],
    ["memory_mib", "InvalidArgument", { memoryMib: 4_000_000_000 }],
    ["max_instances", "InvalidArgument", { maxInstances: 0 }],
    ["io_address", "InvalidArgument", { ioAddress: "nowhere" }],
    ["images[0].digest", "InvalidArgument", { images: [{ name: "default", digest: "sha256:x" }] }],
    ["images[1].name", "InvalidArgument", { images: [...HELLO.images, ...HELLO.images] }],
  ])("are not for a worker with a bad %s", async (field, code, hello) => {
    await using bad = new FakeWorker(api, idle, { workerId: "wk-01jd0000000000000000000008", ...hello });
    const end = await eventually("the refusal", () => bad.ended);
    expect(fromGrpcError(end)).toMatchObject({ code, field });
  });
});
