// Private space that the operator grants and takes back, and the machines' own addresses: what living sandboxes get of both.
import { randomUUID } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";
import type { DesiredInstance, NetworkPolicy, Sandbox } from "@sallyport/contracts";
import { InstanceState } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { OnWish } from "../test/fake-worker.ts";
import { EXITED, FakeWorker, idle, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { allow, BLOCKED, OPEN, rule } from "../test/policies.ts";

type Auth = { readonly metadata: Metadata };
let api: TestApi;
let worker: FakeWorker;
let onWish: OnWish = obedient;
let workspace: string;
let auth: Auth;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
});
beforeEach(async () => {
  onWish = obedient;
  workspace = `w-${randomUUID()}`;
  ({ auth } = await makeWorkspace(api, workspace));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const grant = (cidr: string, to = workspace) =>
  callUnary(api.admin, api.admin.grantCidr, { workspace: to, cidr }).then(({ cidrs }) => cidrs);
const revoke = (cidr: string, from = workspace) =>
  callUnary(api.admin, api.admin.revokeCidr, { workspace: from, cidr });
const grants = (of = workspace) =>
  callUnary(api.admin, api.admin.listGrants, { workspace: of }).then(({ cidrs }) => cidrs);
async function create(network: NetworkPolicy, as: Auth = auth): Promise<Sandbox> {
  const request = createRequest({ waitMs: 5_000, network });
  const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, as);
  if (sandbox === undefined) throw new Error("no sandbox");
  return sandbox;
}
const get = async (sandboxId: string, as: Auth = auth) =>
  (await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, as)).sandbox;
const update = (sandboxId: string, network: NetworkPolicy) =>
  callUnary(api.sandboxes, api.sandboxes.updateNetworkPolicy, { sandboxId, network }, auth);
const explain = (sandboxId: string, destination: string) =>
  callUnary(api.sandboxes, api.sandboxes.explainDestination, { sandboxId, destination }, auth);
const wishOf = (sandboxId: string): Promise<DesiredInstance> =>
  eventually("the wish", () => [...worker.desired.values()].find((one) => one.sandboxId === sandboxId));
const wishAt = (sandboxId: string, generation: number) =>
  eventually("the newer wish", async () => {
    const wish = await wishOf(sandboxId);
    return wish.network?.generation === generation ? wish : undefined;
  });
async function policyEvents(sandboxId: string) {
  const details: unknown[] = [];
  const request = { sandboxId, afterSeq: 0, follow: false };
  for await (const { event } of callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth)) {
    if (event?.type === "network_policy_changed") details.push(event.detail);
  }
  return details;
}

describe("a grant", () => {
  it("opens its part of private space to allow lists of its workspace, and no other", async () => {
    const other = await makeWorkspace(api, `w-${randomUUID()}`);
    const network = allow(rule("10.1.2.0/24", "tcp", 443), "fd12::/48");
    expect(await refusal(create(network))).toMatchObject({ field: "network.allow.cidrs[0]" });
    expect(await grant("10.1.0.0/16")).toEqual(["10.1.0.0/16"]);
    expect(await grant("fd12::/32")).toEqual(["10.1.0.0/16", "fd12::/32"]);
    const { spec } = await wishOf((await create(network)).id);
    expect(spec?.network).toMatchObject({
      allowIpv4: [],
      allowIpv6: [],
      grantedIpv6: ["fd12::/48"],
      portRules: [{ firstAddress: "10.1.2.0", lastAddress: "10.1.2.255", granted: true }],
    });
    expect(await refusal(create(network, other.auth))).toMatchObject({ code: "InvalidArgument" });
    const { spec: open } = await wishOf((await create(OPEN)).id);
    expect(open?.network).toMatchObject({ grantedIpv4: [], grantedIpv6: [] });
  });

  it("is listed, made once however often, and each workspace's own", async () => {
    const other = await makeWorkspace(api, `w-${randomUUID()}`);
    await grant("10.0.0.0/8");
    expect(await grant("10.0.0.0/8")).toEqual(["10.0.0.0/8"]);
    expect(await grant("192.168.7.9")).toEqual(["10.0.0.0/8", "192.168.7.9/32"]);
    expect(await grants()).toEqual(["10.0.0.0/8", "192.168.7.9/32"]);
    const [row] = await api.sql("SELECT granted_cidrs FROM workspaces WHERE id = $1", [other.id]);
    expect(row).toEqual({ granted_cidrs: [] });
  });

  it.each([
    "",
    "10.0.0.1/8",
    "0.0.0.0/0",
    "8.0.0.0/5",
    "198.51.100.0/24",
    "169.254.0.0/16",
    "fd00:ec2::/32",
    "::/0",
    "fc00::/6",
    "x".repeat(10_000),
  ])("is not made of %s", async (cidr) => {
    expect(await refusal(grant(cidr))).toMatchObject({ code: "InvalidArgument", field: "cidr" });
    expect(await refusal(revoke(cidr))).toMatchObject({ code: "InvalidArgument", field: "cidr" });
    expect(await grants()).toEqual([]);
  });

  it("needs a workspace that is there, and has a bound", async () => {
    for (const [name, code] of [
      ["unheard-of", "NotFound"],
      ["No Name", "InvalidArgument"],
    ] as const) {
      const calls = [grant("10.0.0.0/8", name), revoke("10.0.0.0/8", name), grants(name)];
      for (const refused of await Promise.all(calls.map((call) => refusal(call)))) {
        expect(refused).toMatchObject({ code, field: "workspace" });
      }
    }
    const many = Array.from({ length: 256 }, (_, index) => `10.${index}.0.0/16`);
    await api.sql("UPDATE workspaces SET granted_cidrs = $2 WHERE name = $1", [workspace, many]);
    expect(await refusal(grant("192.168.0.0/16"))).toMatchObject({ code: "ResourceExhausted" });
    expect(await grant("10.255.0.0/16")).toHaveLength(256);
  });

  it("that came back opens again what its taking back had shut", async () => {
    await grant("10.1.0.0/16");
    const sandbox = await create(allow("10.1.2.0/24"));
    const told = (count: number) =>
      eventually(`${count} events`, async () => {
        const events = await policyEvents(sandbox.id);
        return events.length === count ? events : undefined;
      });
    expect(await revoke("10.1.0.0/16")).toEqual({ cidrs: [], sandboxes: 1 });
    await told(1);
    await grant("10.1.0.0/16");
    expect((await wishAt(sandbox.id, 3)).network).toMatchObject({ grantedIpv4: ["10.1.2.0/24"] });
    expect(await told(2)).toEqual([
      { generation: 2, by: "revoke" },
      { generation: 3, by: "grant" },
    ]);
  });
});

describe("taking a grant back", () => {
  it("tightens the living sandboxes that it concerns, at new generations, and leaves the rest alone", async () => {
    const other = await makeWorkspace(api, `w-${randomUUID()}`);
    const theirs = other.auth;
    await grant("10.1.0.0/16");
    await grant("10.2.0.0/16");
    await api.sql("UPDATE workspaces SET granted_cidrs = '{10.1.0.0/16}' WHERE id = $1", [other.id]);
    const both = await create(allow("198.51.100.0/24", "10.1.2.0/24", "10.2.0.0/16"));
    const ports = await create(allow(rule("10.1.0.0/16", "any", 53)));
    const apart = await create(allow("10.2.3.0/24"));
    const [open, blocked] = [await create(OPEN), await create(BLOCKED)];
    const foreign = await create(allow("10.1.2.0/24"), theirs);
    const ended = await create(allow("10.1.2.0/24"));
    await worker.report(await wishOf(ended.id), InstanceState.ENDED, EXITED);
    expect(await revoke("10.1.0.0/16")).toEqual({ cidrs: ["10.2.0.0/16"], sandboxes: 2 });
    expect((await wishAt(both.id, 2)).network).toMatchObject({
      allowIpv4: ["198.51.100.0/24"],
      grantedIpv4: ["10.2.0.0/16"],
    });
    expect((await wishAt(ports.id, 2)).network).toMatchObject({ grantedIpv4: [], portRules: [] });
    for (const { id } of [apart, open, blocked, ended]) expect(await get(id)).toMatchObject({ networkGeneration: 1 });
    expect(await get(foreign.id, theirs)).toMatchObject({ networkGeneration: 1 });
    // The policy is as it was stated; what it comes to is another matter, and explained.
    await eventually("its application", async () =>
      (await get(both.id))?.networkPending === false ? true : undefined,
    );
    expect(await get(both.id)).toMatchObject({ network: both.network, networkGeneration: 2 });
    expect(await explain(both.id, "10.1.2.3:443")).toMatchObject({ allowed: false, rule: "private 10.0.0.0/8" });
    expect(await explain(both.id, "10.2.2.3:443")).toMatchObject({ allowed: true, rule: "grant 10.2.0.0/16" });
    expect(await policyEvents(both.id)).toEqual([{ generation: 2, by: "revoke" }]);
    expect(await policyEvents(apart.id)).toEqual([]);
  });

  it("is of what was granted by that name", async () => {
    await grant("10.0.0.0/8");
    expect(await refusal(revoke("10.1.0.0/16"))).toMatchObject({
      code: "NotFound",
      field: "cidr",
      hint: expect.stringContaining("10.0.0.0/8") as string,
    });
    await revoke("10.0.0.0/8");
    expect(await refusal(revoke("10.0.0.0/8"))).toMatchObject({ code: "NotFound" });
  });

  it("leaves no policy behind that was judged with it, however the two meet", async () => {
    for (let round = 0; round < 6; round += 1) {
      await grant("10.1.0.0/16");
      const sandboxes = await Promise.all([create(OPEN), create(BLOCKED)]);
      await Promise.allSettled([
        update(sandboxes[0].id, allow("10.1.2.0/24")),
        create(allow("10.1.3.0/24")),
        revoke("10.1.0.0/16"),
        update(sandboxes[1].id, allow(rule("10.1.4.0/24", "tcp", 443))),
        create(allow("10.1.5.0/24")),
      ]);
      expect(await grants()).toEqual([]);
      const left = await api.sql(
        `SELECT instances.id, spec->'network' AS network FROM instances JOIN workspaces ON workspaces.id = workspace_id
         WHERE workspaces.name = $1 AND (spec->'network'->'granted4' <> '[]' OR spec->'network'->'portRules' <> '[]')`,
        [workspace],
      );
      expect(left).toEqual([]);
    }
  });

  it("is followed by a worker that was away meanwhile", async () => {
    await grant("10.1.0.0/16");
    const sandbox = await create(allow("10.1.2.0/24"));
    onWish = idle;
    await worker[Symbol.asyncDispose]();
    await revoke("10.1.0.0/16");
    expect(await get(sandbox.id)).toMatchObject({ networkGeneration: 2, networkPending: true });
    worker = await new FakeWorker(api, (self, desired) => onWish(self, desired)).ready();
    expect((await wishAt(sandbox.id, 2)).spec?.network).toMatchObject({ generation: 2, grantedIpv4: [] });
  });
});

describe("the machines' own addresses", () => {
  const second = { workerId: "wk-01jd0000000000000000000009", images: [] };

  it("go to every worker at once, and to one that comes later with its snapshot", async () => {
    await worker.send([], ["198.51.100.9/32", "127.0.0.0/8", "198.51.100.9/32", "2001:db8::9/128", "fe80::1/128"]);
    await eventually("its own", () => (worker.fleet?.length === 2 ? true : undefined));
    expect(worker.fleet).toEqual(["198.51.100.9/32", "2001:db8::9/128"]);
    await using other = await new FakeWorker(api, idle, second).ready();
    expect(other.messages[0]?.fleet?.cidrs).toEqual(["198.51.100.9/32", "2001:db8::9/128"]);
    await other.send([], ["10.9.9.9/32"]);
    for (const one of [worker, other]) {
      await eventually("both", () => (one.fleet?.length === 3 ? true : undefined), 1_500);
      expect(one.fleet).toEqual(["10.9.9.9/32", "198.51.100.9/32", "2001:db8::9/128"]);
    }
    const sandbox = await create(OPEN);
    for (const destination of ["198.51.100.9:443", "icmp://10.9.9.9", "2001:db8::9"]) {
      expect(await explain(sandbox.id, destination)).toMatchObject({ allowed: false, rule: "never host", hint: "" });
    }
    expect(await explain(sandbox.id, "198.51.100.10")).toMatchObject({ allowed: true, rule: "open" });
    await other.send([], []);
    await eventually("one's", () => (worker.fleet?.length === 2 ? true : undefined));
  });

  it("are told once as long as they stay", async () => {
    await worker.send([], ["198.51.100.20/32"]);
    await eventually("the change", () => (worker.fleet?.[0] === "198.51.100.20/32" ? true : undefined));
    const told = () => worker.messages.filter(({ full, fleet }) => !full && fleet !== undefined).length;
    const before = told();
    for (let index = 0; index < 3; index += 1) await worker.send([], ["198.51.100.20/32"]);
    await create(OPEN);
    expect(told()).toBe(before);
  });

  it("are no resolvers", async () => {
    await worker.send([], ["198.51.100.53/32"]);
    const request = createRequest({ network: allow("198.51.100.0/24"), dns: ["198.51.100.53"] });
    const made = callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    expect(await refusal(made)).toMatchObject({ code: "InvalidArgument", field: "dns[0]" });
    await worker.send([], []);
  });

  it.each<[string, string, readonly string[]]>([
    ["too many", "addresses.cidrs", Array.from({ length: 1_025 }, (_, n) => `10.9.${n >> 8}.${n & 255}/32`)],
    ["no CIDR", "addresses.cidrs[1]", ["10.9.9.9/32", "10.9.9.9/33"]],
    ["host bits", "addresses.cidrs[0]", ["10.9.9.9/24"]],
    ["a text without end", "addresses.cidrs[0]", ["x".repeat(10_000)]],
    ["NUL", "addresses.cidrs[0]", ["10.9.9.9\0/32"]],
    ["all there is", "addresses.cidrs[0]", ["0.0.0.0/0"]],
    ["all there is of IPv6", "addresses.cidrs[0]", ["::/0"]],
    ["half of a private range", "addresses.cidrs[0]", ["10.0.0.0/9"]],
  ])("are refused: %s", async (_what, field, cidrs) => {
    const before = await api.sql("SELECT id, addresses FROM workers ORDER BY id");
    expect(await refusal(worker.send([], cidrs))).toMatchObject({ code: "InvalidArgument", field });
    expect(await api.sql("SELECT id, addresses FROM workers ORDER BY id")).toEqual(before);
  });

  it("may be as many as the bound", async () => {
    const many = Array.from({ length: 1_024 }, (_, n) => `10.9.${n >> 8}.${n & 255}/32`);
    await worker.send([], many);
    await eventually("all", () => (worker.fleet?.length === 1_024 ? true : undefined));
    await worker.send([], []);
  });
});
