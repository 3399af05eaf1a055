// Policies of sandboxes: stated with ports, changed while they run, awaited until a kernel has them; and explained.
import { randomUUID } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";
import type { DesiredInstance, NetworkPolicy, Sandbox } from "@sallyport/contracts";
import { InstanceState, IpProtocol, NetworkRules_Mode as Mode, SandboxState } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { EXITED, FakeWorker, HELLO, idle, networkGenerationOf, obedient, report } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { allow, BLOCKED, OPEN, rule } from "../test/policies.ts";

let api: TestApi;
let worker: FakeWorker;
let onWish: OnWish = obedient;
let auth: { readonly metadata: Metadata };
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
});
beforeEach(async () => {
  onWish = obedient;
  ({ auth } = await makeWorkspace(api, `w-${randomUUID()}`));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function create(change = {}): Promise<Sandbox> {
  const request = createRequest({ waitMs: 5_000, ...change });
  const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
  if (sandbox === undefined) throw new Error("no sandbox");
  return sandbox;
}
const update = (sandboxId: string, network: NetworkPolicy | undefined) =>
  callUnary(api.sandboxes, api.sandboxes.updateNetworkPolicy, { sandboxId, network }, auth);
const get = async (sandboxId: string) =>
  (await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, auth)).sandbox;
const explain = (sandboxId: string, destination: string) =>
  callUnary(api.sandboxes, api.sandboxes.explainDestination, { sandboxId, destination }, auth);
const wishOf = (sandboxId: string): Promise<DesiredInstance> =>
  eventually("the wish", () => [...worker.desired.values()].find((one) => one.sandboxId === sandboxId));
async function policyEvents(sandboxId: string) {
  const details: unknown[] = [];
  const request = { sandboxId, afterSeq: 0, follow: false };
  for await (const { event } of callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth)) {
    if (event?.type === "network_policy_changed") details.push(event.detail);
  }
  return details;
}

const WEB = "198.51.100.0/24";

describe("a policy with ports", () => {
  it("comes back as it was stated, in canonical form, and goes to the worker compiled", async () => {
    const network = allow("2001:db8::/32", rule(WEB, "any", 443, [8_000, 8_100]), rule("198.51.100.7", "icmp"));
    const sandbox = await create({ network });
    expect(sandbox.network).toEqual(
      allow("2001:db8::/32", rule(WEB, "any", 443, [8_000, 8_100]), rule("198.51.100.7/32", "icmp")),
    );
    expect(sandbox).toMatchObject({ networkGeneration: 1, networkPending: false, dns: [] });
    const { spec, network: again } = await wishOf(sandbox.id);
    expect(again).toBeUndefined();
    expect(spec?.network).toMatchObject({ generation: 1, mode: Mode.ALLOW, allowIpv6: ["2001:db8::/32"] });
    expect(spec?.network?.portRules).toContainEqual({
      firstAddress: "198.51.100.0",
      lastAddress: "198.51.100.255",
      protocol: IpProtocol.UDP,
      firstPort: 8_000,
      lastPort: 8_100,
      granted: false,
    });
    expect(spec?.network?.portRules).toHaveLength(5);
  });

  it("that allows all of a CIDR is its text", async () => {
    expect((await create({ network: allow(rule(WEB, "any")) })).network).toEqual(allow(WEB));
  });

  it.each<[string, NetworkPolicy]>([
    ["network.allow.rules[0].cidr", allow(WEB, rule("10.0.0.0/8", "tcp", 443))],
    ["network.allow.rules[0].cidr", allow(rule("", "tcp", 443))],
    ["network.allow.rules[1].ports", allow(WEB, rule(WEB, "tcp", 1), rule(WEB, "icmp", 1))],
    ["network.allow.rules[0].ports[1]", allow(WEB, rule(WEB, "tcp", 1, 0))],
    ["network.allow.rules[0].ports[0]", allow(rule(WEB, "tcp", [2, 1]))],
    ["network.allow.rules[0].ports[0]", allow(rule(WEB, "tcp", 65_536))],
    ["network.allow.rules[0].protocol", allow({ ...rule(WEB, "tcp", 1), protocol: 99 as IpProtocol })],
    ["network.allow.rules[1]", allow(rule(WEB, "tcp", 1), rule(WEB, "tcp", 1))],
    ["network.allow.rules[0]", allow(WEB, rule(WEB, "any"))],
    ["network.allow", allow(...Array.from({ length: 257 }, (_, port) => rule(WEB, "tcp", port + 1)))],
    [
      "network.allow",
      allow(...Array.from({ length: 256 }, (_, n) => rule(`198.51.100.${n}`, "any", 9 * n + 1, 9 * n + 3, 9 * n + 5))),
    ],
  ])("is refused by the name of its part: %s", async (field, network) => {
    const refused = await refusal(create({ network }));
    expect(refused).toMatchObject({ code: "InvalidArgument", field });
    expect(refused.message.startsWith(`${field}: `), refused.message).toBe(true);
    const sandbox = await create();
    expect(await refusal(update(sandbox.id, network))).toMatchObject({ code: "InvalidArgument", field });
    expect(await get(sandbox.id)).toMatchObject({ network: OPEN, networkGeneration: 1 });
  });
});

describe("an update", () => {
  it("answers once the kernel has it, and is told of", async () => {
    const sandbox = await create();
    for (const [generation, network] of [
      [2, BLOCKED],
      [3, allow(rule(WEB, "tcp", 443))],
      [4, OPEN],
    ] as const) {
      const { sandbox: updated } = await update(sandbox.id, network);
      expect(updated).toMatchObject({ network, networkGeneration: generation, networkPending: false });
      const wish = await wishOf(sandbox.id);
      expect(wish.network).toMatchObject({ generation });
      expect(wish.spec?.network).toEqual(wish.network);
    }
    expect(await policyEvents(sandbox.id)).toEqual([2, 3, 4].map((generation) => ({ generation, by: "update" })));
  });

  it("with what holds already makes no other generation", async () => {
    const sandbox = await create({ network: allow(WEB) });
    expect((await update(sandbox.id, allow(rule(WEB, "any")))).sandbox).toMatchObject({ networkGeneration: 1 });
    await update(sandbox.id, BLOCKED);
    expect((await update(sandbox.id, BLOCKED)).sandbox).toMatchObject({ networkGeneration: 2 });
  });

  it("waits for the kernel, and is Unavailable and kept when that takes too long", { timeout: 30_000 }, async () => {
    const sandbox = await create();
    onWish = idle;
    const startedAt = performance.now();
    const first = refusal(update(sandbox.id, BLOCKED));
    await eventually("the wish", async () => ((await wishOf(sandbox.id)).network?.generation === 2 ? true : undefined));
    expect(await get(sandbox.id)).toMatchObject({ network: BLOCKED, networkGeneration: 2, networkPending: true });
    const unavailable = { code: "Unavailable", field: "network", retryAfterMs: 1_000 };
    expect(await first).toMatchObject({ ...unavailable, hint: expect.stringContaining("kept") as string });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(9_900);
    const again = update(sandbox.id, BLOCKED);
    await worker.report(await wishOf(sandbox.id), InstanceState.RUNNING);
    expect((await again).sandbox).toMatchObject({ networkGeneration: 2, networkPending: false });
    expect(await policyEvents(sandbox.id)).toEqual([{ generation: 2, by: "update" }]);
  });

  it("that is overtaken answers with the later one, and the last to commit wins", async () => {
    const sandbox = await create();
    onWish = idle;
    const policies = Array.from({ length: 12 }, (_, index) => allow(rule(WEB, "tcp", index + 1)));
    const updates = Promise.all(policies.map((network) => update(sandbox.id, network)));
    const newest = await eventually("the newest wish", async () => {
      const wish = await wishOf(sandbox.id);
      return wish.network?.generation === policies.length + 1 ? wish : undefined;
    });
    await worker.report(newest, InstanceState.RUNNING);
    const answers = await updates;
    const last = await get(sandbox.id);
    expect(last).toMatchObject({ networkGeneration: policies.length + 1, networkPending: false });
    for (const { sandbox: seen } of answers) expect(seen?.network).toEqual(last?.network);
    expect(policies).toContainEqual(last?.network);
    const ports = newest.network?.portRules.map(({ firstPort }) => firstPort);
    expect(last?.network).toEqual(allow(rule(WEB, "tcp", ports?.[0] ?? 0)));
    expect(await policyEvents(sandbox.id)).toEqual([{ generation: policies.length + 1, by: "update" }]);
  });

  it("of a sandbox that does not run yet is what it starts with", async () => {
    onWish = idle;
    const sandbox = await create({ waitMs: 0, network: OPEN });
    const updated = update(sandbox.id, BLOCKED);
    const wish = await eventually("the newer wish", async () => {
      const one = await wishOf(sandbox.id);
      return networkGenerationOf(one) === 2 ? one : undefined;
    });
    expect(wish.spec?.network).toMatchObject({ generation: 2, mode: Mode.BLOCKED });
    expect(await get(sandbox.id)).toMatchObject({ state: SandboxState.PENDING, networkPending: true });
    await worker.report(wish, InstanceState.RUNNING);
    expect((await updated).sandbox).toMatchObject({ state: SandboxState.RUNNING, networkPending: false });
  });

  it("that came while the claim was under way is pending until it is there too", async () => {
    onWish = idle;
    const sandbox = await create({ waitMs: 0 });
    const first = await wishOf(sandbox.id);
    const updated = update(sandbox.id, BLOCKED);
    await eventually("the newer wish", async () => ((await wishOf(sandbox.id)).network ? true : undefined));
    await worker.report(first, InstanceState.RUNNING);
    expect(await get(sandbox.id)).toMatchObject({ state: SandboxState.RUNNING, networkPending: true });
    await worker.report(await wishOf(sandbox.id), InstanceState.RUNNING);
    expect((await updated).sandbox).toMatchObject({ networkPending: false });
  });

  it("is not for what has ended or is to end, and an end while it waits ends it", async () => {
    const [ended, stopping] = [await create(), await create()];
    await worker.report(await wishOf(ended.id), InstanceState.ENDED, EXITED);
    expect(await refusal(update(ended.id, BLOCKED))).toMatchObject({ code: "SandboxEnded", field: "sandbox_id" });
    onWish = idle;
    const request = { sandboxId: stopping.id, waitMs: 0 };
    await callUnary(api.sandboxes, api.sandboxes.terminateSandbox, request, auth);
    expect(await refusal(update(stopping.id, BLOCKED))).toMatchObject({ code: "FailedPrecondition" });
    const third = await create({ waitMs: 0 });
    const waiting = refusal(update(third.id, BLOCKED));
    const wish = await wishOf(third.id);
    await eventually("the commit", async () => ((await get(third.id))?.networkPending === true ? true : undefined));
    await worker.report(wish, InstanceState.ENDED, EXITED);
    expect(await waiting).toMatchObject({ code: "SandboxEnded" });
  });

  it("needs a policy, with a mode that is known", async () => {
    const sandbox = await create();
    for (const network of [undefined, { mode: undefined }]) {
      expect(await refusal(update(sandbox.id, network))).toMatchObject({ code: "InvalidArgument", field: "network" });
    }
  });

  it("is not taken for done by a number that was never given out", async () => {
    const sandbox = await create();
    onWish = idle;
    const wish = await wishOf(sandbox.id);
    await worker.send([{ ...report(wish, InstanceState.RUNNING, 50), networkGeneration: 2 ** 40 }]);
    const waiting = update(sandbox.id, BLOCKED);
    const newer = await eventually("the wish", async () => ((await wishOf(sandbox.id)).network ? true : undefined));
    expect(newer).toBe(true);
    expect(await get(sandbox.id)).toMatchObject({ networkPending: true });
    await worker.send([{ ...report(wish, InstanceState.RUNNING, 51), networkGeneration: 2 }]);
    expect((await waiting).sandbox).toMatchObject({ networkPending: false });
  });
});

describe("a restart of the api", () => {
  it("keeps what is wished, and tells a worker that comes back", async () => {
    await using before = await startTestApi();
    const { auth: theirs } = await makeWorkspace(before, "tenant");
    const onlyTheFirst: OnWish = async (self, desired) => {
      if (networkGenerationOf(desired) === 1) await self.report(desired, InstanceState.RUNNING);
    };
    await using first = await new FakeWorker(before, onlyTheFirst).ready();
    const request = createRequest({ waitMs: 5_000 });
    const created = await callUnary(before.sandboxes, before.sandboxes.createSandbox, request, theirs);
    const change = { sandboxId: created.sandbox?.id ?? "", network: BLOCKED };
    const pending = refusal(callUnary(before.sandboxes, before.sandboxes.updateNetworkPolicy, change, theirs));
    await eventually("the wish", () => [...first.desired.values()].find(({ network }) => network !== undefined));
    await using after = await before.restart();
    expect(await pending).toMatchObject({ code: "Unavailable" });
    const { sandboxes } = after;
    const { sandbox } = await callUnary(sandboxes, sandboxes.getSandbox, change, theirs);
    expect(sandbox).toMatchObject({ network: BLOCKED, networkGeneration: 2, networkPending: true });
    await using second = await new FakeWorker(after, idle).ready();
    const told = second.messages[0]?.instances.find((one) => one.sandboxId === change.sandboxId);
    expect(told?.network).toMatchObject({ generation: 2, mode: Mode.BLOCKED });
    if (told === undefined) throw new Error("not told");
    await second.send([{ ...report(told, InstanceState.RUNNING, 2), networkGeneration: 2 }]);
    const applied = await callUnary(sandboxes, sandboxes.updateNetworkPolicy, change, theirs);
    expect(applied.sandbox).toMatchObject({ networkGeneration: 2, networkPending: false });
  });

  it("finds what the release before wrote, and the release before finds what this one writes", async () => {
    const sandbox = await create({ network: allow(WEB, rule("2001:db8::/32", "tcp", 443)) });
    const [row] = await api.sql("SELECT network FROM sandboxes WHERE id = $1", [sandbox.id]);
    expect(row?.["network"]).toMatchObject({ policy: { allow: [WEB] } });
    await api.sql("UPDATE sandboxes SET network = $2 WHERE id = $1", [
      sandbox.id,
      JSON.stringify({ policy: { allow: [WEB] } }),
    ]);
    await api.sql("UPDATE instances SET spec = (spec #- '{network,portRules}') - 'dns' WHERE sandbox_id = $1", [
      sandbox.id,
    ]);
    expect(await get(sandbox.id)).toMatchObject({ network: allow(WEB), dns: [] });
    await using other = await new FakeWorker(api, idle, { workerId: HELLO.workerId }).ready();
    const told = other.messages[0]?.instances.find((one) => one.sandboxId === sandbox.id);
    expect(told?.spec).toMatchObject({ dns: [], network: { portRules: [], allowIpv4: [WEB] } });
    // The worker of this file is cut off by the other: it comes back.
    worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
  });
});

describe("resolvers", () => {
  const dns = ["198.51.100.53", "2001:db8::53"];
  const reaches = allow(rule("198.51.100.53", "any", 53), "2001:db8::/32");

  it("are for an allow list that reaches them", async () => {
    const sandbox = await create({ network: reaches, dns: ["198.51.100.53", "2001:0db8:0::53"] });
    expect(sandbox.dns).toEqual(dns);
    expect((await wishOf(sandbox.id)).spec?.dns).toEqual(dns);
  });

  it.each<[string, string, object]>([
    ["an open sandbox", "dns", { network: OPEN, dns }],
    ["a blocked one", "dns", { network: BLOCKED, dns }],
    ["one without a policy", "dns", { dns }],
    ["too many", "dns", { network: allow(WEB), dns: [1, 2, 3, 4].map((n) => `198.51.100.${n}`) }],
    ["a name", "dns[0]", { network: allow(WEB), dns: ["resolver.example"] }],
    ["an empty text", "dns[0]", { network: allow(WEB), dns: [""] }],
    ["a port", "dns[0]", { network: allow(WEB), dns: ["198.51.100.53:53"] }],
    ["the same twice", "dns[1]", { network: allow("2001:db8::/32"), dns: ["2001:db8::1", "2001:DB8:0::1"] }],
    ["what the list leaves out", "dns[1]", { network: allow(WEB), dns }],
    ["what it reaches by UDP alone", "dns[0]", { network: allow(rule(WEB, "udp", 53)), dns: ["198.51.100.53"] }],
    ["what it reaches by TCP alone", "dns[0]", { network: allow(rule(WEB, "tcp", 53)), dns: ["198.51.100.53"] }],
    ["what nobody reaches", "dns[0]", { network: allow("0.0.0.0/0"), dns: ["169.254.169.253"] }],
    ["private space", "dns[0]", { network: allow("0.0.0.0/0"), dns: ["10.0.0.2"] }],
  ])("are refused with %s", async (_what, field, change) => {
    const hint = expect.any(String) as string;
    expect(await refusal(create(change))).toMatchObject({ code: "InvalidArgument", field, hint });
  });

  it("must be reached by later policies too, unless these block everything", async () => {
    const sandbox = await create({ network: reaches, dns });
    for (const network of [allow("198.51.100.53"), allow("2001:db8::/32"), allow()]) {
      const refused = await refusal(update(sandbox.id, network));
      expect(refused).toMatchObject({ code: "InvalidArgument", field: "network" });
      expect(refused.hint).toContain("ports: [53]");
    }
    for (const network of [BLOCKED, OPEN, allow("0.0.0.0/0", "::/0"), reaches]) await update(sandbox.id, network);
  });

  it("are part of what an idempotency key stands for", async () => {
    const idempotencyKey = randomUUID();
    const first = await create({ idempotencyKey, network: reaches, dns });
    expect((await create({ idempotencyKey, network: reaches, dns })).id).toBe(first.id);
    expect(await refusal(create({ idempotencyKey, network: reaches }))).toMatchObject({ code: "AlreadyExists" });
  });
});

describe("an explanation", () => {
  it("says what decides, why, and what would change it", async () => {
    const sandbox = await create({ network: allow(rule(WEB, "tcp", 443)) });
    expect(await explain(sandbox.id, "198.51.100.7:443")).toMatchObject({ allowed: true, rule: `allow ${WEB}` });
    const denied = await explain(sandbox.id, "udp://198.51.100.7:443");
    expect(denied).toMatchObject({ allowed: false, rule: "unlisted" });
    expect(denied.why).not.toBe("");
    expect(denied.hint).not.toBe("");
    expect(await explain(sandbox.id, "169.254.169.254")).toMatchObject({
      allowed: false,
      rule: "never 169.254.0.0/16",
      hint: "",
    });
    await update(sandbox.id, BLOCKED);
    expect(await explain(sandbox.id, "198.51.100.7:443")).toMatchObject({ allowed: false, rule: "blocked" });
  });

  it("says so while the newest policy is not in the kernel", async () => {
    const sandbox = await create();
    onWish = idle;
    const waiting = update(sandbox.id, BLOCKED);
    await eventually("the commit", async () => ((await get(sandbox.id))?.networkPending === true ? true : undefined));
    expect((await explain(sandbox.id, "198.51.100.7")).why).toContain("not in the kernel yet");
    await eventually("the wish", async () => ((await wishOf(sandbox.id)).network ? true : undefined));
    await worker.report(await wishOf(sandbox.id), InstanceState.RUNNING);
    await waiting;
  });

  it.each(["", "host.example:443", "198.51.100.7:0", "198.51.100.256", "gre://198.51.100.7", "x".repeat(1_000)])(
    "is not given of %s",
    async (destination) => {
      const sandbox = await create();
      const refused = await refusal(explain(sandbox.id, destination));
      expect(refused).toMatchObject({ code: "InvalidArgument", field: "destination" });
    },
  );

  it("is not given of an ended sandbox", async () => {
    const sandbox = await create();
    await worker.report(await wishOf(sandbox.id), InstanceState.ENDED, EXITED);
    expect(await refusal(explain(sandbox.id, "198.51.100.7"))).toMatchObject({ code: "SandboxEnded" });
  });
});
