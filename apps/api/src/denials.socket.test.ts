// What a policy denied, as workers tell it: taken apart, bounded, and never in the way of other events.
import type { Metadata } from "@grpc/grpc-js";
import type { DesiredInstance, InstanceEvent, SandboxEvent } from "@sallyport/contracts";
import { InstanceState } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let auth: { readonly metadata: Metadata };
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  ({ auth } = await makeWorkspace(api, "tenant"));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const DENIAL = {
  destination: "198.51.100.7",
  port: 443,
  protocol: "tcp",
  rule: "unlisted",
  hint: 'add { cidr: "198.51.100.7/32" } to the allow list',
  count: 3,
};

async function wished(): Promise<DesiredInstance> {
  const request = createRequest({ waitMs: 5_000 });
  const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
  return eventually("the wish", () => [...worker.desired.values()].find((one) => one.sandboxId === sandbox?.id));
}
async function events(sandboxId: string): Promise<SandboxEvent[]> {
  const read: SandboxEvent[] = [];
  const request = { sandboxId, afterSeq: 0, follow: false };
  for await (const { event } of callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth)) {
    if (event !== undefined) read.push(event);
  }
  return read;
}
function tell(wish: DesiredInstance, details: readonly object[], from = 1, type = "network_denied") {
  const told = details.map(
    (detail, index): InstanceEvent => ({
      seq: from + index,
      at: new Date(),
      type,
      detail: { ...detail },
    }),
  );
  return worker.report(wish, InstanceState.RUNNING, undefined, told);
}
const details = async (sandboxId: string) =>
  (await events(sandboxId)).filter(({ type }) => type === "network_denied").map(({ detail }) => detail);

describe("a denial", () => {
  it("comes to the sandbox's events as it was told, and only once", async () => {
    const wish = await wished();
    const ping = { destination: "2001:db8::7", protocol: "icmp", rule: "never host", count: 1 };
    const other = { destination: "10.1.2.3", protocol: "47", rule: "private 10.0.0.0/8", count: 2 };
    const numbered = { ...other, protocol: 47 };
    const rate = { destination: "198.51.100.7", port: 53, protocol: "udp", rule: "limit rate", count: 2 ** 40 };
    await tell(wish, [DENIAL, ping, numbered, rate, { more: 12_345 }]);
    await tell(wish, [DENIAL, ping, numbered, rate, { more: 12_345 }]);
    expect(await details(wish.sandboxId)).toEqual([DENIAL, ping, other, rate, { more: 12_345 }]);
  });

  it("is taken apart: what is no part of one is left out", async () => {
    const wish = await wished();
    await tell(wish, [
      { ...DENIAL, destination: "2001:DB8:0:0::7", secret: "x", at: { deep: [1] } },
      { ...DENIAL, port: 70_000, hint: "x".repeat(5_000) },
      { ...DENIAL, port: 0, hint: "" },
    ]);
    const { port: _, hint: __, ...bare } = DENIAL;
    expect(await details(wish.sandboxId)).toEqual([
      { ...DENIAL, destination: "2001:db8::7" },
      { ...bare, hint: "x".repeat(300) },
      bare,
    ]);
  });

  it.each([
    {},
    { more: 0 },
    { more: -1 },
    { more: "12" },
    { ...DENIAL, destination: "host.example" },
    { ...DENIAL, destination: 7 },
    { ...DENIAL, destination: "198.51.100.7\0" },
    { ...DENIAL, protocol: "TCP; rm" },
    { ...DENIAL, protocol: "x".repeat(17) },
    { ...DENIAL, rule: "\u001b[2J" },
    { ...DENIAL, rule: `allow ${"1".repeat(100)}` },
    { ...DENIAL, rule: undefined },
    { ...DENIAL, count: 0 },
    { ...DENIAL, count: 1.5 },
    { ...DENIAL, count: Number.MAX_VALUE },
  ])("is not made of %o", async (detail) => {
    const wish = await wished();
    await tell(wish, [detail, { more: 1 }]);
    expect(await details(wish.sandboxId)).toEqual([{ more: 1 }]);
  });

  it("drives out older denials, and nothing else", async () => {
    const wish = await wished();
    const before = (await events(wish.sandboxId)).map(({ type }) => type);
    expect(before).toEqual(["created", "placed", "started"]);
    await tell(wish, [{ by: "hand" }], 1, "asleep");
    let seq = 2;
    for (const count of [1, 300, 300, 700, 1]) {
      await tell(
        wish,
        Array.from({ length: count }, (_, index) => ({ ...DENIAL, count: seq + index })),
        seq,
      );
      seq += count;
    }
    const after = await events(wish.sandboxId);
    expect(after.slice(0, 4).map(({ type }) => type)).toEqual([...before, "asleep"]);
    const denials = after.slice(4);
    expect(denials).toHaveLength(500);
    const numbers = denials.map(({ detail }) => Number(detail?.["count"]));
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, index) => seq - 500 + index));
    for (let index = 1; index < after.length; index += 1) {
      expect(after[index]?.seq).toBeGreaterThan(after[index - 1]?.seq ?? 0);
    }
  });

  it("leaves the newest 1,000 in all", async () => {
    const wish = await wished();
    const awake = Array.from({ length: 900 }, () => ({ by: "use" }));
    await tell(wish, awake, 1, "awake");
    await tell(
      wish,
      Array.from({ length: 400 }, () => DENIAL),
      901,
    );
    const all = await events(wish.sandboxId);
    expect(all).toHaveLength(1_000);
    expect(all.filter(({ type }) => type === "network_denied")).toHaveLength(400);
  });
});
