// Connect tokens while parts of the platform are gone, and under a gigabyte each way: on a platform of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP, reachOf } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const PROXY = "connect-proxy";
const GIB = 1_073_741_824;
/** What a gigabyte may leave in a process at any time: buffers on the way, and the collector's laziness. */
const SLACK_MIB = 160;
const PATIENCE = { timeout: 30_000, interval: 50 };

const stack = new AsyncDisposableStack();
let platform: TestPlatform;
let sandbox: Sandbox;
let token: ConnectToken;

beforeAll(async () => {
  platform = stack.use(await startPlatform());
  const { token: apiToken } = await platform.createWorkspace("connect-faults");
  const client = stack.use(new Client({ url: platform.apiUrl, token: apiToken }));
  sandbox = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
  token = await sandbox.createConnectToken({ userMetadata: "foo" });
  expect((await token.fetch("/who")).status).toBe(200);
});

afterAll(async () => {
  await stack.disposeAsync();
});

async function pidOf(name: string): Promise<number> {
  const pid = (await platform.status()).children.find((child) => child.name === name)?.pid;
  if (pid === undefined) throw new Error(`no child ${name}`);
  return pid;
}

/** Stops a child where it stands, until disposal: it is there, and answers nobody. */
async function frozen(name: string): Promise<Disposable> {
  const pid = await pidOf(name);
  process.kill(pid, "SIGSTOP");
  return { [Symbol.dispose]: () => process.kill(pid, "SIGCONT") };
}

/** Status of a request; 0: nobody answers. */
async function statusOf(by: ConnectToken): Promise<number> {
  return await by.fetch("/who").then(
    ({ status }) => status,
    () => 0,
  );
}

describe("the proxy", () => {
  it("goes on without the api, also when it comes back from kill -9 meanwhile", async () => {
    const other = await sandbox.createConnectToken();
    const revoked = await sandbox.createConnectToken();
    await revoked.revoke();
    using _api = await frozen("api");
    expect(await (await token.fetch("/who")).json()).toMatchObject({ user: '"foo"' });
    // Never seen by this proxy before, and verified without asking anybody.
    expect(await statusOf(other)).toBe(200);
    const before = await pidOf(PROXY);
    process.kill(before, "SIGKILL");
    await expect.poll(async () => await pidOf(PROXY), PATIENCE).not.toBe(before);
    await expect.poll(() => statusOf(token), PATIENCE).toBe(200);
    expect(await statusOf(other)).toBe(200);
    expect(await statusOf(revoked)).toBe(401);
  });

  it("is named by a revocation that it does not hear of, and obeys as soon as it does", async () => {
    const late = await sandbox.createConnectToken();
    await expect.poll(() => statusOf(late), PATIENCE).toBe(200);
    {
      using _proxy = await frozen(PROXY);
      const { staleEdges } = await late.revoke();
      expect(staleEdges).toHaveLength(1);
    }
    await expect.poll(() => statusOf(late), PATIENCE).toBe(401);
    expect(await statusOf(token)).toBe(200);
  });

  it("comes back from kill -9 with the sockets of its clients cut, and nothing else lost", async () => {
    const socket = token.webSocket("/socket");
    await once(socket, "message");
    process.kill(await pidOf(PROXY), "SIGKILL");
    await once(socket, "close");
    await expect.poll(() => statusOf(token), PATIENCE).toBe(200);
    expect((await sandbox.run(["echo", "alive"])).stdout).toBe("alive\n");
  });
});

describe("a gigabyte", () => {
  it.each([
    ["down", "-w %{size_download}", "bytes/1073741824"],
    ["up", "-w %{size_upload} -T zeros", "sum"],
  ])("goes %s in flat memory", { timeout: 240_000 }, async (_way, options, path) => {
    await using reach = await reachOf(token);
    const env = { PATH: "/usr/bin:/bin", TOKEN: reach.token };
    const how = `curl --http1.1 -sS --fail -o /dev/null --cacert ${reach.caFile} -H "Authorization: Bearer $TOKEN"`;
    const script = `truncate --size=1G zeros && ${how} ${options} ${reach.url}/${path}`;
    const names = [PROXY, "gateway"];
    const pids = await Promise.all(names.map(pidOf));
    const before = pids.map(residentMiB);
    const peak = [...before];
    const watch = setInterval(() => {
      for (const [at, pid] of pids.entries()) peak[at] = Math.max(peak[at] ?? 0, residentMiB(pid));
    }, 50);
    try {
      const child = spawn("/bin/sh", ["-c", script], { env, cwd: reach.folder, stdio: ["ignore", "pipe", "inherit"] });
      expect(Number(await text(child.stdout))).toBe(GIB);
    } finally {
      clearInterval(watch);
    }
    for (const [at, name] of names.entries()) {
      expect((peak[at] ?? 0) - (before[at] ?? 0), `MiB more of ${name}`).toBeLessThan(SLACK_MIB);
    }
  });
});

function residentMiB(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1_024);
}
