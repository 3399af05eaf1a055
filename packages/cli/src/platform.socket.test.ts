// up, down and the operator's verbs, with a supervisor and an AdminService of the test's own in a temporary home.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { handleUnaryCall } from "@grpc/grpc-js";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { AdminServiceService } from "@sallyport/contracts/grpc";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../test/run-cli.ts";

/** Speaks the supervisor's control protocol; leaves a mark when it is told to end what was left behind. */
const SUPERVISOR = `
  const { createServer } = require("node:http");
  const { mkdirSync, writeFileSync, rmSync } = require("node:fs");
  const home = process.env.SALLYPORT_HOME;
  if (process.env.SALLYPORT_TOKEN !== undefined) throw new Error("the caller's token is none of the platform's business");
  if (process.env.SALLYPORT_DOWN === "1") {
    writeFileSync(home + "/downed", "");
    process.exit(0);
  }
  if (process.env.FAKE_FAILURE) throw new Error(process.env.FAKE_FAILURE);
  mkdirSync(home + "/run", { recursive: true });
  let asked = 0;
  const socket = home + "/run/supervisor.sock";
  const server = createServer((request, response) => {
    if (request.url === "/restart/connect-proxy") {
      response.writeHead(409);
      response.end(JSON.stringify({ error: "connect-proxy is not ready" }));
      return;
    }
    if (request.url === "/restart/tunnel-edge") {
      const children = [{ name: "api", pid: 1 }, { name: "tunnel-edge", pid: 2, drainingPid: 3 }, { name: "tunnel-edge-2", pid: 4 }];
      response.end(JSON.stringify({ state: "ready", pid: process.pid, children }));
      return;
    }
    const state = ++asked > 3 ? "ready" : "starting";
    response.end(JSON.stringify({ state, pid: process.pid, apiUrl: "http://127.0.0.1:7350", children: [] }));
    if (request.url === "/down") { rmSync(socket); setImmediate(() => process.exit(0)); }
  });
  server.listen(socket);
`;

let root: string;
let env: Record<string, string>;
let home: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sallyport-cli-"));
  home = join(root, "home");
  const release = join(root, "opt", "current");
  mkdirSync(join(release, "bin"), { recursive: true });
  mkdirSync(join(release, "apps/standalone/dist"), { recursive: true });
  symlinkSync(process.execPath, join(release, "bin/node"));
  const native = join(root, "opt", "native", "current");
  mkdirSync(native, { recursive: true });
  writeFileSync(join(native, "sallyport-reap"), '#!/bin/sh\nshift\nexec "$@"\n');
  chmodSync(join(native, "sallyport-reap"), 0o755);
  writeFileSync(join(release, "apps/standalone/dist/main.js"), SUPERVISOR);
  env = {
    PATH: process.env["PATH"] ?? "",
    HOME: root,
    SALLYPORT_OPT: join(root, "opt"),
    SALLYPORT_HOME: home,
    SALLYPORT_TOKEN: "secret",
  };
});
afterEach(async () => {
  if (existsSync(join(home, "run/supervisor.sock"))) await cli(undefined, ["down"], { env });
  rmSync(root, { recursive: true });
});

describe("up and down", () => {
  it("start it once, say how to go on, and end it", async () => {
    const up = await cli(undefined, ["up"], { env });
    expect(up).toMatchObject({ code: 0, stderr: "" });
    expect(up.stdout).toContain("is up at http://127.0.0.1:7350");
    const again = await cli(undefined, ["up", "--json"], { env });
    const { pid, state } = JSON.parse(again.stdout) as { pid: number; state: string };
    expect(state).toBe("ready");
    expect(await cli(undefined, ["down"], { env })).toMatchObject({ code: 0 });
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  });

  it("end what a killed supervisor left behind", async () => {
    expect((await cli(undefined, ["down"], { env })).stdout).toContain("There is no platform");
    mkdirSync(home);
    expect((await cli(undefined, ["down", "--json"], { env })).code).toBe(0);
    expect(existsSync(join(home, "downed"))).toBe(true);
  });

  it("show why it did not start, and what is not there", async () => {
    const failed = await cli(undefined, ["up"], { env: { ...env, FAKE_FAILURE: "no such luck" } });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("no such luck");
    const bare = await cli(undefined, ["up"], { env: { ...env, SALLYPORT_OPT: join(root, "none") } });
    expect(bare.code).toBe(1);
    expect(bare.stderr).toContain("npm run setup");
  });
});

describe("restart", () => {
  it("tells which processes an edge has then, and what the supervisor says against it", async () => {
    expect(await cli(undefined, ["restart", "tunnel-edge"], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no platform running") as string,
    });
    await cli(undefined, ["up"], { env });
    const restarted = await cli(undefined, ["restart", "tunnel-edge"], { env });
    expect(restarted).toMatchObject({ code: 0, stderr: "" });
    expect(restarted.stdout).toBe(
      "tunnel-edge is process 2 now; 3 lets its connections end\ntunnel-edge-2 is process 4 now\n",
    );
    const refused = await cli(undefined, ["restart", "connect-proxy"], { env });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("connect-proxy is not ready")]);
    expect((await cli(undefined, ["restart", "api"], { env })).code).not.toBe(0);
  });
});

describe("the operator's verbs", () => {
  let server: Server;
  const requests: unknown[] = [];
  const token = { id: "at-1", workspaceId: "ws-1", workspaceName: "default", name: "me", createdAt: new Date(0) };

  beforeEach(async () => {
    const answer =
      <R>(response: R): handleUnaryCall<unknown, R> =>
      (call, callback) => {
        requests.push(call.request);
        callback(null, response);
      };
    const workspace = { id: "ws-1", name: "default", createdAt: new Date(0) };
    server = new Server();
    server.addService(AdminServiceService, {
      createApiToken: answer({ apiToken: token, secret: "the-secret" }),
      listApiTokens: answer({ apiTokens: [token, { ...token, id: "at-2", revokedAt: new Date(1) }] }),
      revokeApiToken: answer({ apiToken: token }),
      createWorkspace: answer({ workspace }),
      listWorkspaces: answer({ workspaces: [workspace] }),
      getPlatformStatus: answer({ platformId: "p", livingSandboxes: 0, workers: [] }),
      setWorkspaceQuota: answer({
        quota: { sandboxes: 5, cpuMillis: 2_500, memoryMib: 0, diskMib: 64, createsPerMinute: 9 },
      }),
      setWorkspaceTokenRules: answer({ refuseUserMetadataAtTunnels: true }),
      grantCidr: answer({ cidrs: ["10.0.0.0/8", "fd12::/32"] }),
      revokeCidr: answer({ cidrs: ["fd12::/32"], sandboxes: 2 }),
      listGrants: answer({ cidrs: ["fd12::/32"] }),
      listWorkers: answer({
        workers: [{ id: "wk-1", lastSeenAt: new Date(Date.now() - 30_000), unreachable: true, instances: 3 }],
      }),
      declareWorkerLost: answer({ sandboxes: 3 }),
      listEdges: answer({
        edges: [
          { id: "edge-1", kind: 1, lastSeenAt: new Date(), stale: false, revision: 7, newestRevision: 7 },
          {
            id: "edge-2",
            kind: 2,
            lastSeenAt: new Date(Date.now() - 30_000),
            stale: true,
            revision: 5,
            newestRevision: 7,
          },
        ],
      }),
      listConnectKeys: answer({
        keys: [
          { keyId: "new", createdAt: new Date(1), signing: true },
          { keyId: "old", createdAt: new Date(0), signing: false, removedAt: new Date(2) },
        ],
      }),
      rotateConnectKey: answer({ keyId: "newer", staleEdges: ["edge-2"] }),
      getLocalAuthority: answer({ certificatePem: "PEM", fingerprint: "ab", domains: ["localhost"] }),
    });
    const socket = join(home, "run/api/operator/operator.sock");
    mkdirSync(dirname(socket), { recursive: true });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    requests.length = 0;
  });
  afterEach(() => server.forceShutdown());

  it("make a token, under both names", async () => {
    const made = await cli(undefined, ["api-token", "create", "--name", "me"], { env });
    expect(made).toMatchObject({ code: 0, stdout: "the-secret\n" });
    await cli(undefined, ["admin", "token", "create", "--workspace", "other", "--name", "ci"], { env });
    expect(requests).toEqual([
      { workspaceName: "default", name: "me" },
      { workspaceName: "other", name: "ci" },
    ]);
    const json = await cli(undefined, ["api-token", "create", "--name", "me", "--json"], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({ id: "at-1", workspace: "default", token: "the-secret" });
  });

  it("keep it for this user alone, and do not show it", async () => {
    const saving = { ...env, SALLYPORT_API_URL: "http://127.0.0.1:1" };
    const saved = await cli(undefined, ["api-token", "create", "--name", "me", "--save"], { env: saving });
    expect(saved.code).toBe(0);
    expect(saved.stdout + saved.stderr).not.toContain("the-secret");
    const path = join(root, ".config/sallyport/config.json");
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ url: "http://127.0.0.1:1", token: "the-secret" });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("list, revoke, and manage workspaces", async () => {
    expect((await cli(undefined, ["api-token", "list"], { env })).stdout).toContain("at-2  default    me    1970-");
    expect((await cli(undefined, ["api-token", "revoke", "at-1"], { env })).stdout).toBe("at-1\n");
    expect((await cli(undefined, ["workspace", "create", "team"], { env })).stdout).toBe("ws-1\n");
    expect(JSON.parse((await cli(undefined, ["workspace", "list", "--json"], { env })).stdout)).toEqual([
      { id: "ws-1", name: "default", createdAt: "1970-01-01T00:00:00.000Z" },
    ]);
    expect(requests).toEqual([{}, { apiTokenId: "at-1" }, { name: "team" }, {}]);
  });

  it("set and show quotas", async () => {
    const options = "--sandboxes 5 --cpu 2.5 --memory 0 --disk 64 --creates-per-minute 9".split(" ");
    const set = await cli(undefined, ["workspace", "quota", "team", ...options], { env });
    expect(set.code).toBe(0);
    expect(set.stdout).toMatch(
      /sandboxes +5\ncpu +2.5\nmemory \(MiB\) +none\ndisk \(MiB\) +64\ncreates per minute +9\n/,
    );
    expect(requests).toEqual([
      { workspace: "team", sandboxes: 5, cpuMillis: 2_500, memoryMib: 0, diskMib: 64, createsPerMinute: 9 },
    ]);
    const shown = await cli(undefined, ["admin", "workspace", "quota", "team", "--json"], { env });
    expect(JSON.parse(shown.stdout)).toEqual({
      sandboxes: 5,
      cpu: 2.5,
      memoryMiB: 0,
      diskMiB: 64,
      createsPerMinute: 9,
    });
    expect(requests[1]).toEqual({ workspace: "team" });
    for (const bad of [
      ["--sandboxes", "-1"],
      ["--cpu", "-1"],
      ["--disk", "1.5"],
    ]) {
      expect((await cli(undefined, ["workspace", "quota", "team", ...bad], { env })).code).toBe(2);
    }
    expect(requests).toHaveLength(2);
  });

  it("set and show what connect tokens may be", async () => {
    const rule = "--user-metadata-at-tunnels";
    const set = await cli(undefined, ["workspace", "token-rules", "team", rule, "refuse"], { env });
    expect(set).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/user metadata at tunnels +refuse\n/) as string,
    });
    const shown = await cli(undefined, ["admin", "workspace", "token-rules", "team", "--json"], { env });
    expect(JSON.parse(shown.stdout)).toEqual({ userMetadataAtTunnels: "refuse" });
    await cli(undefined, ["workspace", "token-rules", "team", rule, "warn"], { env });
    expect(requests).toEqual([
      { workspace: "team", refuseUserMetadataAtTunnels: true },
      { workspace: "team" },
      { workspace: "team", refuseUserMetadataAtTunnels: false },
    ]);
    expect((await cli(undefined, ["workspace", "token-rules", "team", rule, "allow"], { env })).code).toBe(2);
  });

  it("grant private space, list it, and take it back", async () => {
    const granted = await cli(undefined, ["workspace", "grant-cidr", "team", "10.0.0.0/8"], { env });
    expect(granted).toEqual({ code: 0, stdout: "10.0.0.0/8\nfd12::/32\n", stderr: "" });
    const revoked = await cli(undefined, ["workspace", "revoke-cidr", "team", "10.0.0.0/8"], { env });
    expect(revoked.stdout).toBe("10.0.0.0/8 is taken back; 2 living sandboxes grew tighter\n");
    expect((await cli(undefined, ["workspace", "grants", "team"], { env })).stdout).toBe("fd12::/32\n");
    const json = async (...argv: string[]) =>
      JSON.parse((await cli(undefined, ["admin", "workspace", ...argv, "--json"], { env })).stdout) as unknown;
    expect(await json("grant-cidr", "team", "fd12::/32")).toEqual(["10.0.0.0/8", "fd12::/32"]);
    expect(await json("revoke-cidr", "team", "10.0.0.0/8")).toEqual({ cidrs: ["fd12::/32"], sandboxes: 2 });
    expect(await json("grants", "team")).toEqual(["fd12::/32"]);
    expect(requests).toEqual([
      { workspace: "team", cidr: "10.0.0.0/8" },
      { workspace: "team", cidr: "10.0.0.0/8" },
      { workspace: "team" },
      { workspace: "team", cidr: "fd12::/32" },
      { workspace: "team", cidr: "10.0.0.0/8" },
      { workspace: "team" },
    ]);
    expect((await cli(undefined, ["workspace", "grant-cidr", "team"], { env })).code).toBe(2);
  });

  it("list workers, and give one up", async () => {
    const listed = await cli(undefined, ["workers"], { env });
    expect(listed.stdout).toMatch(/^ID +STATE +HEARD OF +INSTANCES\nwk-1 +unreachable +30s ago +3\n$/);
    const json = await cli(undefined, ["workers", "list", "--json"], { env });
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: "wk-1", unreachable: true }]);
    expect((await cli(undefined, ["workers", "lost", "wk-1"], { env })).stdout).toContain("3 of its sandboxes ended");
    const lost = await cli(undefined, ["admin", "workers", "lost", "wk-1", "--json"], { env });
    expect(JSON.parse(lost.stdout)).toEqual({ id: "wk-1", sandboxes: 3 });
    expect(requests.slice(2)).toEqual([{ workerId: "wk-1" }, { workerId: "wk-1" }]);
  });

  it("list edges, and keys, and change the key that signs", async () => {
    const edges = await cli(undefined, ["edges"], { env });
    expect(edges.stdout).toMatch(
      /^ID .*\nedge-1 +connect +fresh +0s ago +7 of 7\nedge-2 +tunnel +stale +30s ago +5 of 7\n$/,
    );
    const keys = await cli(undefined, ["keys"], { env });
    expect(keys.stdout).toMatch(/^ID .*\nnew +1970\S+ +signs\nold +1970\S+ +leaves 1970\S+\n$/);
    expect(JSON.parse((await cli(undefined, ["keys", "list", "--json"], { env })).stdout)).toHaveLength(2);
    const rotated = await cli(undefined, ["keys", "rotate"], { env });
    expect(rotated).toMatchObject({ code: 0, stdout: "newer\n" });
    expect(rotated.stderr).toContain("edge-2");
    expect(JSON.parse((await cli(undefined, ["admin", "keys", "rotate", "--json"], { env })).stdout)).toEqual({
      keyId: "newer",
      staleEdges: ["edge-2"],
    });
  });

  it("print the local authority, and trust none that is not bound to its names", async () => {
    expect(await cli(undefined, ["ca", "print"], { env })).toEqual({ code: 0, stdout: "PEM\n", stderr: "" });
    const json = JSON.parse((await cli(undefined, ["ca", "print", "--json"], { env })).stdout) as unknown;
    expect(json).toEqual({ certificatePem: "PEM", fingerprint: "ab", domains: ["localhost"] });
    expect((await cli(undefined, ["ca", "trust"], { env })).code).toBe(1);
  });

  it("say when there is no platform", async () => {
    const { code, stderr } = await cli(undefined, ["workspace", "list", "--home", join(root, "none")], { env });
    expect(code).toBe(1);
    expect(stderr).toContain("sallyport up");
  });
});
