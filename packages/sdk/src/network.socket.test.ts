// Policies as programs state, change and ask about them, against real protos on real sockets.
import type { NetworkPolicy as WirePolicy } from "@sallyport/contracts";
import { IpProtocol } from "@sallyport/contracts";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CreateOptions, NetworkPolicy } from "./index.ts";
import { Client, Sandbox } from "./index.ts";

let platform: FakePlatform;
let client: Client;
beforeEach(async () => {
  platform = await FakePlatform.start();
  client = new Client({ url: platform.apiUrl, token: platform.token });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
});

const create = (options: object = {}) => Sandbox.create({ client, ...(options as CreateOptions) });
const sent = (sandbox: Sandbox): WirePolicy | undefined => platform.sandboxes.get(sandbox.id)?.request.network;

const WEB = "198.51.100.0/24";
const MIXED: NetworkPolicy = {
  allow: [WEB, { cidr: "2001:db8::/32", protocol: "udp", ports: [53, [8_000, 8_100]] }, { cidr: "10.0.0.0/8" }],
};

describe("a policy", () => {
  it("of texts alone goes as every platform knows it", async () => {
    expect(sent(await create({ network: { allow: [WEB, "nonsense"] } }))).toEqual({
      mode: { $case: "allow", value: { cidrs: [WEB, "nonsense"], rules: [] } },
    });
    expect(sent(await create({ outboundCidrAllowlist: [WEB] }))).toEqual({
      mode: { $case: "allow", value: { cidrs: [WEB], rules: [] } },
    });
    expect(sent(await create())).toBeUndefined();
  });

  it("with rules keeps every entry at its place", async () => {
    const sandbox = await create({ network: MIXED, dns: ["198.51.100.53"] });
    expect(sent(sandbox)).toEqual({
      mode: {
        $case: "allow",
        value: {
          cidrs: [],
          rules: [
            { cidr: WEB, protocol: IpProtocol.UNSPECIFIED, ports: [] },
            {
              cidr: "2001:db8::/32",
              protocol: IpProtocol.UDP,
              ports: [
                { first: 53, last: 53 },
                { first: 8_000, last: 8_100 },
              ],
            },
            { cidr: "10.0.0.0/8", protocol: IpProtocol.UNSPECIFIED, ports: [] },
          ],
        },
      },
    });
    expect(sandbox.info).toMatchObject({ dns: ["198.51.100.53"], networkGeneration: 1, networkPending: false });
    expect(sandbox.info.network).toEqual({ allow: [{ cidr: WEB }, ...MIXED.allow.slice(1)] });
  });

  it.each<[string, unknown]>([
    ["network", "closed"],
    ["network", null],
    ["network", []],
    ["network", { allow: [], deny: [] }],
    ["network.allow", { allow: WEB }],
    ["network.allow[1]", { allow: [WEB, null] }],
    ["network.allow[0]", { allow: [[WEB]] }],
    ["network.allow[0]", { allow: Object.assign([], { length: 2 }) }],
    ["network.allow[0]", { allow: [{ cidr: WEB, port: 443 }] }],
    ["network.allow[0].cidr", { allow: [{ ports: [443] }] }],
    ["network.allow[1].protocol", { allow: [WEB, { cidr: WEB, protocol: "gre" }] }],
    ["network.allow[0].protocol", { allow: [{ cidr: WEB, protocol: "constructor" }] }],
    ["network.allow[0].protocol", { allow: [{ cidr: WEB, protocol: null }] }],
    ["network.allow[0].ports", { allow: [{ cidr: WEB, ports: 443 }] }],
    ["network.allow[0].ports", { allow: [{ cidr: WEB, ports: [] }] }],
    ["network.allow[0].ports[1]", { allow: [{ cidr: WEB, ports: [443, 0] }] }],
    ["network.allow[0].ports[0]", { allow: [{ cidr: WEB, ports: ["443"] }] }],
    ["network.allow[0].ports[0]", { allow: [{ cidr: WEB, ports: [1.5] }] }],
    ["network.allow[0].ports[0]", { allow: [{ cidr: WEB, ports: [[1, 2, 3]] }] }],
    ["network.allow[0].ports[0]", { allow: [{ cidr: WEB, ports: [[1, 65_536]] }] }],
  ])("that would arrive as another is refused: %s", async (field, network) => {
    const refused = { code: "InvalidArgument", field, hint: expect.any(String) as string };
    await expect(create({ network })).rejects.toMatchObject(refused);
    expect(platform.calls).toEqual([]);
    const sandbox = await create();
    await expect(sandbox.updateNetworkPolicy(network as NetworkPolicy)).rejects.toMatchObject(refused);
    expect(platform.calls).toEqual(["createSandbox"]);
  });

  it.each<[string, object]>([
    ["dns", { dns: "198.51.100.53" }],
    ["dns[1]", { dns: ["198.51.100.53", 53] }],
  ])("names resolvers in a list of texts: %s", async (field, options) => {
    await expect(create(options)).rejects.toMatchObject({ code: "InvalidArgument", field });
  });

  it("that the platform refuses is spoken of as it was stated", async () => {
    const stated: readonly (readonly [wire: string, field: string, options: object])[] = [
      ["network.allow.cidrs[2]", "network.allow[2]", {}],
      ["network.allow.rules[2].ports[1]", "network.allow[2].ports[1]", {}],
      ["network.allow", "network.allow", {}],
      ["network.allow.cidrs[2]", "outboundCidrAllowlist[2]", { outboundCidrAllowlist: [] }],
      ["network.allow", "outboundCidrAllowlist", { outboundCidrAllowlist: [] }],
      ["dns[0]", "dns[0]", {}],
    ];
    for (const [wire, field, options] of stated) {
      platform.fail("createSandbox", { code: "InvalidArgument", field: wire });
      await expect(create(options)).rejects.toMatchObject({ code: "InvalidArgument", field });
    }
  });

  it("of a platform that knows more reads as none", async () => {
    const sandbox = await create({ network: MIXED });
    const view = platform.sandboxes.get(sandbox.id)?.view;
    if (view === undefined) throw new Error("no sandbox");
    const rule = { cidr: WEB, protocol: 7 as IpProtocol, ports: [] };
    view.network = { mode: { $case: "allow", value: { cidrs: [], rules: [rule] } } };
    expect((await Sandbox.fromId(sandbox.id, { client })).info.network).toBeUndefined();
  });
});

describe("an update", () => {
  it("is in the handle's info once it is in the kernel", async () => {
    const sandbox = await create();
    await sandbox.updateNetworkPolicy("blocked");
    expect(sandbox.info).toMatchObject({ network: "blocked", networkGeneration: 2, networkPending: false });
    await sandbox.updateNetworkPolicy(MIXED);
    expect(sandbox.info).toMatchObject({ networkGeneration: 3 });
  });

  it("that is kept but pending is told at once; an outage is ridden out", async () => {
    const sandbox = await create();
    platform.fail("updateNetworkPolicy", { code: "Unavailable", field: "network", retryAfterMs: 1_000 });
    await expect(sandbox.updateNetworkPolicy("blocked")).rejects.toMatchObject({
      code: "Unavailable",
      field: "network",
      retryable: true,
    });
    expect(platform.calls.filter((call) => call === "updateNetworkPolicy")).toHaveLength(1);
    platform.fail("updateNetworkPolicy", { code: "Unavailable" });
    await sandbox.updateNetworkPolicy("blocked");
    expect(platform.calls.filter((call) => call === "updateNetworkPolicy")).toHaveLength(3);
  });

  it("is not for what has ended, and ends with its signal", async () => {
    const sandbox = await create();
    platform.fail("updateNetworkPolicy", { code: "Unavailable", instead: "hang" });
    const signal = AbortSignal.timeout(100);
    await expect(sandbox.updateNetworkPolicy("open", { signal })).rejects.toMatchObject({ code: "Cancelled" });
    await sandbox.terminate();
    await expect(sandbox.updateNetworkPolicy("open")).rejects.toMatchObject({ code: "SandboxEnded", field: "id" });
  });
});

describe("an explanation", () => {
  it("says what decides, why, and what would change it", async () => {
    const sandbox = await create({ network: "blocked" });
    expect(await sandbox.explain("198.51.100.7:443")).toEqual({
      allowed: false,
      rule: "blocked",
      why: expect.stringContaining("198.51.100.7:443") as string,
      hint: "use another policy",
    });
    await expect(sandbox.explain("")).rejects.toMatchObject({ code: "InvalidArgument", field: "destination" });
  });
});
