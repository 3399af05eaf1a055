// Tunnels over gRPC, on a real database: their addresses, whether edges serve them, what edges are told of them, and to
// which names the platform's own authority gives certificates.
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import type { CreateConnectTokenRequest, CreateSandboxRequest } from "@sallyport/contracts";
import { EdgeKind, isTunnelLabel, PortKind, RouteState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWith, listTunnels, terminate, tunnelsOf } from "../test/declared-ports.ts";
import { FakeEdge } from "../test/fake-edge.ts";
import { FakeWorker, idle, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { attachTestApi, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

const WAIT_MS = 30_000;

let api: TestApi;
let worker: FakeWorker;
let mine: Awaited<ReturnType<typeof makeWorkspace>>;
let theirs: Awaited<ReturnType<typeof makeWorkspace>>;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  mine = await makeWorkspace(api, "mine");
  theirs = await makeWorkspace(api, "theirs");
  const none = { sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 0 };
  await callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace: "mine", ...none });
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const create = (change: Partial<CreateSandboxRequest> = { encryptedPorts: [8_080] }) =>
  createWith(api, mine, { waitMs: 10_000, ...change });
const end = (sandboxId: string) => terminate(api, mine, sandboxId);
const list = (sandboxId: string, waitMs = 0, signal?: AbortSignal) =>
  listTunnels(api, mine, sandboxId, signal === undefined ? { waitMs } : { waitMs, signal });

/** An edge that has its first snapshot, gone for good when it is disposed of: nobody waits for it any longer. */
async function edgeOf(kind: EdgeKind, id: string, options: { readonly acknowledges?: boolean } = {}) {
  const edge = new FakeEdge(api, { id, kind });
  edge.acknowledges = options.acknowledges ?? true;
  await edge.ready();
  return Object.assign(edge, {
    async [Symbol.asyncDispose]() {
      await FakeEdge.prototype[Symbol.asyncDispose].call(edge);
      await api.sql("DELETE FROM edges WHERE id = $1", [id]);
    },
  });
}
const tunnelEdge = (id: string, options?: { readonly acknowledges?: boolean }) => edgeOf(EdgeKind.TUNNEL, id, options);
const connectEdge = (id: string, options?: { readonly acknowledges?: boolean }) =>
  edgeOf(EdgeKind.CONNECT, id, options);

describe("the tunnels of a sandbox", () => {
  it("have a host that nobody can guess, by their ports; a raw one has a public port besides", async () => {
    const ports = {
      encryptedPorts: [8_443, 80],
      h2Ports: [50_051],
      unencryptedPorts: [22],
      proxyProtocolPorts: [22, 80],
    };
    const { tunnels, caPem } = await list(await create(ports));
    expect(tunnels).toMatchObject([
      { port: 22, kind: PortKind.RAW, tlsPort: 7_443, tcpHost: "127.0.0.2", proxyProtocol: true },
      { port: 80, kind: PortKind.TLS, tlsPort: 7_443, tcpHost: undefined, proxyProtocol: true },
      { port: 8_443, kind: PortKind.TLS, tlsPort: 7_443, tcpHost: undefined, proxyProtocol: false },
      { port: 50_051, kind: PortKind.H2, tlsPort: 7_443, tcpHost: undefined, proxyProtocol: false },
    ]);
    for (const { host, url } of tunnels) {
      expect(isTunnelLabel(host.replace(/\.localhost$/, "")), host).toBe(true);
      expect(url).toBe(`https://${host}:7443`);
    }
    expect(new Set(tunnels.map(({ host }) => host)).size).toBe(4);
    const [raw, ...others] = tunnels.map(({ tcpPort }) => tcpPort);
    expect(raw).toBeGreaterThanOrEqual(20_000);
    expect(raw).toBeLessThanOrEqual(20_999);
    expect(others).toEqual([undefined, undefined, undefined]);
    expect(caPem).toMatch(/^-----BEGIN CERTIFICATE-----\n[\s\S]+-----END CERTIFICATE-----\n$/);
  });

  it("are under the domain and the port of tunnels, which public authorities may vouch for", async () => {
    const tunnels = { ...api.config.tunnels, domain: "tunnels.example.net", port: 443, isLocal: false };
    await using other = await attachTestApi(api.database, { tunnels });
    const sandboxId = await create();
    const {
      tunnels: [tunnel],
      caPem,
    } = await listTunnels(other, mine, sandboxId);
    expect(tunnel).toMatchObject({ tlsPort: 443, url: `https://${tunnel?.host}` });
    expect(tunnel?.host).toMatch(/^tn-[0-9a-z]{26}\.tunnels\.example\.net$/);
    expect(caPem).toBe("");
  });

  it("are none where none was declared, and nobody waits for edges then", async () => {
    const sandboxId = await create({});
    expect(await list(sandboxId, WAIT_MS)).toMatchObject({ tunnels: [], live: false, edges: 0 });
  });

  it("are in the view of the sandbox, and of its list of those who may come", async () => {
    const sandboxId = await create({
      h2Ports: [9_000],
      inboundCidrAllowlist: { cidrs: ["10.0.0.0/8", "2001:DB8::/32"] },
    });
    const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.getSandbox, { sandboxId }, mine.auth);
    expect(sandbox?.ports).toEqual([{ port: 9_000, kind: PortKind.H2, proxyProtocol: false }]);
    expect(sandbox?.inboundCidrAllowlist).toEqual({ cidrs: ["10.0.0.0/8", "2001:db8::/32"] });
  });

  it("are told over HTTP too", async () => {
    const sandboxId = await create();
    const path = `/v1/sandboxes/${sandboxId}/tunnels?waitMs=0`;
    const { status, json } = await new RestClient(api.api.httpPort).call("GET", path, { token: mine.token });
    const [tunnel] = await tunnelsOf(api, mine, sandboxId);
    expect(status).toBe(200);
    expect(json).toMatchObject({ live: false, tunnels: [{ port: 8_080, host: tunnel?.host, url: tunnel?.url }] });
  });

  it("are nobody's of another workspace", async () => {
    const sandboxId = await create();
    const never = "sb-01jd0000000000000000000000";
    const refused = await refusal(listTunnels(api, theirs, sandboxId));
    expect(refused).toMatchObject({ code: "NotFound", field: "sandbox_id" });
    const unknown = await refusal(listTunnels(api, theirs, never));
    expect({ ...refused, message: refused.message.replace(sandboxId, never) }).toEqual(unknown);
  });

  it.each([
    ["sandbox_id", "sb-x", 0],
    ["wait_ms", "sb-01jd0000000000000000000000", -1],
    ["wait_ms", "sb-01jd0000000000000000000000", 60_001],
  ])("are not listed for a bad %s", async (field, sandboxId, waitMs) => {
    expect(await refusal(list(sandboxId, waitMs))).toMatchObject({ code: "InvalidArgument", field });
  });

  it("end with it", async () => {
    const sandboxId = await create();
    await end(sandboxId);
    expect(await refusal(list(sandboxId))).toMatchObject({ code: "SandboxEnded", field: "sandbox_id" });
    await using slow = await startTestApi();
    await using lazy = await new FakeWorker(slow, idle).ready();
    const owner = await makeWorkspace(slow, "owner");
    const stopping = await createWith(slow, owner, { encryptedPorts: [80] });
    expect(await tunnelsOf(slow, owner, stopping)).toHaveLength(1); // while it starts
    await callUnary(slow.sandboxes, slow.sandboxes.terminateSandbox, { sandboxId: stopping, waitMs: 0 }, owner.auth);
    expect(await refusal(listTunnels(slow, owner, stopping))).toMatchObject({ code: "SandboxEnded" });
    expect(lazy.ended).toBeUndefined();
  });
});

describe("tunnels are live", () => {
  it("not without an edge, and not by an edge for connect tokens", async () => {
    await using _connect = await connectEdge("connect");
    const sandboxId = await create();
    expect(await list(sandboxId)).toMatchObject({ live: false, edges: 0, staleEdges: [] });
  });

  it("once each edge that can be reached acts on them, and whoever waits hears of it", async () => {
    await using _mute = await connectEdge("mute", { acknowledges: false }); // nobody waits for it
    await using slow = await tunnelEdge("slow", { acknowledges: false });
    await using quick = await tunnelEdge("quick");
    const sandboxId = await create();
    await eventually("its route", () => slow.routes.get(sandboxId)?.state === RouteState.RUNNING || undefined);
    await eventually("the word of the quick one", async () => {
      const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
      return edges.find(({ id }) => id === "quick")?.revision === quick.revision || undefined;
    });
    await slow.acknowledge(0); // it is there, however long all this took
    expect(await list(sandboxId)).toMatchObject({ live: false, edges: 2, staleEdges: [] });
    const waiting = list(sandboxId, WAIT_MS);
    slow.acknowledges = true; // at the next heartbeat
    expect(await waiting).toMatchObject({ live: true, edges: 2, staleEdges: [] });
    expect(await list(sandboxId)).toMatchObject({ live: true, edges: 2 });
  });

  it("by an edge of another api process", async () => {
    await using other = await attachTestApi(api.database);
    const sandboxId = await create();
    const waiting = list(sandboxId, WAIT_MS);
    await using edge = await new FakeEdge(other, { id: "elsewhere", kind: EdgeKind.TUNNEL }).ready();
    expect(await waiting).toMatchObject({ live: true, edges: 1 });
    await edge[Symbol.asyncDispose]();
    await api.sql("DELETE FROM edges WHERE id = 'elsewhere'");
  });

  it("once an edge that did not act on them has left for good", async () => {
    await using before = new FakeEdge(api, { id: "before", kind: EdgeKind.TUNNEL });
    before.acknowledges = false;
    await before.ready();
    await using _after = await tunnelEdge("after");
    const sandboxId = await create();
    await before.acknowledge(0);
    const waiting = list(sandboxId, WAIT_MS);
    await before[Symbol.asyncDispose]();
    await callUnary(api.edges, api.edges.leaveEdge, { edgeId: "before", successorId: "after" });
    expect(await waiting).toMatchObject({ live: true, edges: 1, staleEdges: [] });
  });

  it("while one is out of reach, which is named; and not when all are", async () => {
    const sandboxId = await create();
    await using here = await tunnelEdge("here");
    await api.sql(
      "INSERT INTO edges (id, kind, revision, seen_at) VALUES ('lost', 'tunnel', 0, now() - interval '1 hour')",
    );
    expect(await list(sandboxId, WAIT_MS)).toMatchObject({ live: true, edges: 1, staleEdges: ["lost"] });
    await here[Symbol.asyncDispose]();
    expect(await list(sandboxId)).toMatchObject({ live: false, edges: 0, staleEdges: ["lost"] });
    await api.sql("DELETE FROM edges WHERE id = 'lost'");
  });

  it("no longer than their sandbox, for whoever waits", async () => {
    await using _edge = await tunnelEdge("silent", { acknowledges: false });
    const sandboxId = await create();
    const waiting = refusal(list(sandboxId, WAIT_MS));
    await end(sandboxId);
    expect(await waiting).toMatchObject({ code: "SandboxEnded", field: "sandbox_id" });
  });

  it("or nobody waits any longer", async () => {
    await using edge = await tunnelEdge("silent", { acknowledges: false });
    const sandboxId = await create();
    await expect(list(sandboxId, WAIT_MS, AbortSignal.timeout(200))).rejects.toThrow();
    await edge.acknowledge(0);
    expect(await list(sandboxId, 1)).toMatchObject({ live: false, edges: 1 }); // the time is over
  });

  it("at edges that no revocation of a connect token waits for", async () => {
    await using connect = await connectEdge("connect");
    await using silent = await tunnelEdge("silent", { acknowledges: false });
    const sandboxId = await create();
    const { tokenId } = await mint(sandboxId);
    const revoked = await callUnary(api.sandboxes, api.sandboxes.revokeConnectToken, { sandboxId, tokenId }, mine.auth);
    expect(revoked).toEqual({ staleEdges: [] });
    expect(connect.revoked.has(tokenId)).toBe(true);
    const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
    expect(edges.map(({ id, kind }) => [id, kind])).toEqual([
      ["connect", EdgeKind.CONNECT],
      ["silent", EdgeKind.TUNNEL],
    ]);
    expect(silent.ended).toBeUndefined();
  });
});

describe("the route of a sandbox", () => {
  it("says which tunnels lead there and who may come, also once it has ended", async () => {
    await using edge = await tunnelEdge("watcher");
    const inboundCidrAllowlist = { cidrs: ["198.51.100.0/24"] };
    const sandboxId = await create({
      encryptedPorts: [443],
      unencryptedPorts: [22],
      proxyProtocolPorts: [443],
      inboundCidrAllowlist,
    });
    const { tunnels } = await list(sandboxId, WAIT_MS);
    const routed = tunnels.map(({ port, kind, host, tcpPort, proxyProtocol }) => {
      return { port, kind, label: host.replace(".localhost", ""), publicPort: tcpPort, proxyProtocol };
    });
    expect(edge.routes.get(sandboxId)).toMatchObject({ tunnels: routed, inboundCidrAllowlist });
    await end(sandboxId);
    const ended = await eventually("its end", () => {
      const route = edge.routes.get(sandboxId);
      return route?.endedAt === undefined ? undefined : route;
    });
    expect(ended).toMatchObject({ state: RouteState.ENDED, tunnels: routed, inboundCidrAllowlist });
    await using fresh = await tunnelEdge("fresh");
    expect(fresh.routes.get(sandboxId)).toMatchObject({ tunnels: routed, inboundCidrAllowlist });
  });

  it("tells nobody from everybody", async () => {
    await using edge = await tunnelEdge("watcher");
    const [nobody, everybody] = [await create({ inboundCidrAllowlist: { cidrs: [] } }), await create({})];
    const last = await eventually("both", () => edge.routes.get(everybody));
    expect(edge.routes.get(nobody)?.inboundCidrAllowlist).toEqual({ cidrs: [] });
    expect(last).toMatchObject({ inboundCidrAllowlist: undefined, tunnels: [] });
  });
});

describe("a certificate of a tunnel", () => {
  const publicKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
    format: "der",
    type: "spki",
  });
  const issue = (host: string, on: TestApi = api) =>
    callUnary(on.edges, on.edges.issueCertificate, { edgeId: "issuer", host, publicKey: Buffer.from(publicKey) });
  const hostOf = async (sandboxId: string) => (await tunnelsOf(api, mine, sandboxId))[0]?.host ?? "";

  it("is issued while it lives, and makes whoever asked for it an edge of tunnels", async () => {
    const sandboxId = await create();
    const [{ host } = { host: "" }] = await tunnelsOf(api, mine, sandboxId);
    const leaf = new X509Certificate((await issue(host)).certificatePem);
    expect(leaf.subjectAltName).toBe(`DNS:${host}`);
    const { caPem } = await list(sandboxId);
    expect(leaf.verify(new X509Certificate(caPem).publicKey)).toBe(true);
    const { edges } = await callUnary(api.admin, api.admin.listEdges, {});
    expect(edges.find(({ id }) => id === "issuer")).toMatchObject({ kind: EdgeKind.TUNNEL });
    await end(sandboxId);
    expect(await refusal(issue(host))).toMatchObject({ code: "NotFound", field: "host" });
  });

  it("is issued for no label that there is not", async () => {
    const host = await hostOf(await create());
    const other = host.replace(/^tn-./, (start) => `tn-${start.endsWith("0") ? "1" : "0"}`);
    expect(await refusal(issue(other))).toMatchObject({ code: "NotFound", field: "host" });
  });

  it.each([
    ["in capitals", (host: string) => host.toUpperCase()],
    ["of another domain", (host: string) => host.replace("localhost", "example.com")],
    ["below it", (host: string) => `x.${host}`],
    ["without a domain", (host: string) => host.replace(".localhost", "")],
    ["with a dot at the end", (host: string) => `${host}.`],
  ])("is issued for no name %s", async (_, change) => {
    const host = await hostOf(await create());
    expect(await refusal(issue(change(host)))).toMatchObject({ code: "InvalidArgument", field: "host" });
  });

  it("comes from an authority of its own where the domains are not the same", async () => {
    const tunnels = { ...api.config.tunnels, domain: "tunnels.localhost.test" };
    await using other = await attachTestApi(api.database, { tunnels, stateDir: api.config.stateDir });
    const sandboxId = await create();
    const {
      tunnels: [tunnel],
      caPem,
    } = await listTunnels(other, mine, sandboxId);
    const leaf = new X509Certificate((await issue(tunnel?.host ?? "", other)).certificatePem);
    expect(leaf.verify(new X509Certificate(caPem).publicKey)).toBe(true);
    expect(caPem).not.toBe((await list(sandboxId)).caPem);
    const { domains, certificatePem } = await callUnary(other.admin, other.admin.getLocalAuthority, {});
    expect(domains).toEqual(["localhost", "tunnels.localhost.test"]);
    expect(certificatePem.split("-----BEGIN CERTIFICATE-----")).toHaveLength(3);
    const atConnect = `${sandboxId}.tunnels.localhost.test`;
    expect(await refusal(issue(atConnect, other))).toMatchObject({ code: "InvalidArgument", field: "host" });
  });
});

function mint(sandboxId: string, change: Partial<CreateConnectTokenRequest> = {}, owner = mine) {
  const unset = { userMetadata: undefined, port: undefined, expiresInMs: undefined, embed: false };
  return callUnary(api.sandboxes, api.sandboxes.createConnectToken, { sandboxId, ...unset, ...change }, owner.auth);
}

describe("a connect token for a port that has a tunnel", () => {
  const rule = (refuseUserMetadataAtTunnels?: boolean) =>
    callUnary(api.admin, api.admin.setWorkspaceTokenRules, { workspace: "mine", refuseUserMetadataAtTunnels });

  it("warns when it has user data", async () => {
    const sandboxId = await create({ encryptedPorts: [8_080], unencryptedPorts: [22] });
    for (const userMetadata of ["ann", null, { a: 1 }]) {
      const { warnings } = await mint(sandboxId, { userMetadata });
      expect(warnings).toEqual([expect.stringContaining("a tunnel leads to port 8080 as well")]);
    }
    expect((await mint(sandboxId, { userMetadata: "ann", port: 22 })).warnings).toHaveLength(1);
    expect((await mint(sandboxId)).warnings).toEqual([]);
    expect((await mint(sandboxId, { userMetadata: "ann", port: 3_000 })).warnings).toEqual([]);
  });

  it("is refused with user data where the workspace's rule says so", async () => {
    const sandboxId = await create();
    expect(await rule()).toEqual({ refuseUserMetadataAtTunnels: false });
    expect(await rule(true)).toEqual({ refuseUserMetadataAtTunnels: true });
    expect(await rule()).toEqual({ refuseUserMetadataAtTunnels: true });
    const refused = await refusal(mint(sandboxId, { userMetadata: "ann" }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", field: "user_metadata" });
    expect(refused.message).not.toContain("ann");
    const { tokens } = await callUnary(api.sandboxes, api.sandboxes.listConnectTokens, { sandboxId }, mine.auth);
    expect(tokens).toEqual([]);
    expect((await mint(sandboxId)).warnings).toEqual([]);
    expect((await mint(sandboxId, { userMetadata: "ann", port: 3_000 })).warnings).toEqual([]);
    const other = await createWith(api, theirs, { encryptedPorts: [8_080], waitMs: 10_000 });
    expect((await mint(other, { userMetadata: "ann" }, theirs)).warnings).toHaveLength(1);
    expect(await rule(false)).toEqual({ refuseUserMetadataAtTunnels: false });
    expect((await mint(sandboxId, { userMetadata: "ann" })).warnings).toHaveLength(1);
  });

  it("has rules of workspaces that there are", async () => {
    const call = callUnary(api.admin, api.admin.setWorkspaceTokenRules, {
      workspace: "none",
      refuseUserMetadataAtTunnels: true,
    });
    expect(await refusal(call)).toMatchObject({ code: "NotFound", field: "workspace" });
  });
});
