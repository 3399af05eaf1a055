// Tests that break things: each has a platform of its own, and looks afterwards at what the machine still holds.
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Sandbox } from "@sallyport/sdk";
import { fromZone, startDnsServer } from "@sallyport/testkit/dns-server";
import type { Owner } from "@sallyport/testkit/leftovers";
import { leftovers } from "@sallyport/testkit/leftovers";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { describe, expect, inject, it } from "vitest";

const targets = inject("targets");

const COUNTER =
  "import time\nfor i in range(400):\n    print(i, flush=True)\n    time.sleep(0.02)\nraise SystemExit(3)";
const NUMBERS = Array.from({ length: 400 }, (_, index) => String(index));

async function clientOf(platform: TestPlatform): Promise<Client> {
  const { token } = await platform.createWorkspace(`faults-${Date.now().toString(36)}`);
  return new Client({ url: platform.apiUrl, token });
}

async function ownerOf(platform: TestPlatform): Promise<Owner> {
  return { home: platform.home, platformId: (await platform.status()).platformId };
}

/** kill -9 of a child, and the wait until the supervisor has it back. */
async function kill(platform: TestPlatform, name: string): Promise<void> {
  const before = (await platform.status()).children.find((child) => child.name === name);
  if (before === undefined) throw new Error(`no child ${name}`);
  process.kill(before.pid, "SIGKILL");
  const back = async () => {
    const now = (await platform.status()).children.find((child) => child.name === name);
    return now?.state === "ready" && now.pid !== before.pid;
  };
  await expect.poll(back, { timeout: 30_000, interval: 50 }).toBe(true);
}

async function canReach(sandbox: Sandbox, address: string): Promise<boolean> {
  const script = `import socket; s = socket.create_connection(("${address}", ${targets.port}), 2); print(s.recv(99).decode())`;
  return (await sandbox.run(["python3", "-c", script])).exitCode === 0;
}

describe("kill -9", () => {
  it("of worker and gateway: an exec that counts goes on without loss or repetition", async () => {
    let owner: Owner;
    {
      await using platform = await startPlatform();
      owner = await ownerOf(platform);
      await using client = await clientOf(platform);
      await using sandbox = await Sandbox.create({ client });
      const counter = await sandbox.exec(["python3", "-c", COUNTER]);
      const seen: string[] = [];
      for await (const line of counter.stdout.lines()) {
        seen.push(line);
        if (seen.length === 60) await kill(platform, "gateway");
        if (seen.length === 140) await kill(platform, "worker");
        if (seen.length === 220) await Promise.all([kill(platform, "worker"), kill(platform, "gateway")]);
      }
      expect(seen).toEqual(NUMBERS);
      expect(await counter.wait()).toEqual({ exitCode: 3, reason: "exited" });
    }
    expect(leftovers(owner)).toEqual([]);
  });

  it("of api and database: what runs goes on, and new sandboxes start again", async () => {
    await using platform = await startPlatform();
    await using client = await clientOf(platform);
    await using sandbox = await Sandbox.create({ client });
    const counter = await sandbox.exec(["python3", "-c", COUNTER]);
    await kill(platform, "api");
    await kill(platform, "postgres");
    expect((await counter.stdout.text()).trim().split("\n")).toEqual(NUMBERS);
    expect(await counter.wait()).toMatchObject({ exitCode: 3 });
    await using another = await Sandbox.create({ client });
    expect((await another.run(["echo", "hello"])).stdout).toBe("hello\n");
  });

  it("of the resolver: an open sandbox finds names again, and nothing else notices", async () => {
    const zone = { "target.example": [{ type: "A", data: targets.insideIpv4 }] };
    await using names = await startDnsServer({ respond: fromZone(zone) });
    await using platform = await startPlatform({ env: { SALLYPORT_DNS_UPSTREAM: names.address } });
    await using client = await clientOf(platform);
    await using sandbox = await Sandbox.create({ client });
    const lookUp = `import socket; print(socket.gethostbyname("target.example"))`;
    const found = async () => (await sandbox.run(["python3", "-c", lookUp])).stdout.trim();
    expect(await found()).toBe(targets.insideIpv4);
    const counter = await sandbox.exec(["python3", "-c", COUNTER]);
    await kill(platform, "resolver");
    expect(await found()).toBe(targets.insideIpv4);
    expect((await counter.stdout.text()).trim().split("\n")).toEqual(NUMBERS);
    const others = (await platform.status()).children.filter((child) => child.name !== "resolver");
    expect(others.map((child) => child.restarts)).toEqual(others.map(() => 0));
  });

  it("of a worker that has a policy to apply: it holds once a worker is back", async () => {
    await using platform = await startPlatform();
    await using client = await clientOf(platform);
    await using sandbox = await Sandbox.create({ client });
    const { pid } = (await platform.status()).children.find(({ name }) => name === "worker") ?? {};
    if (pid === undefined) throw new Error("no worker");
    process.kill(pid, "SIGSTOP");
    const updated = sandbox.updateNetworkPolicy("blocked").then(
      () => "applied",
      (error: unknown) => (error as { code: string }).code,
    );
    const isPending = async () => (await Sandbox.fromId(sandbox.id, { client })).info.networkPending;
    await expect.poll(isPending, { timeout: 10_000, interval: 50 }).toBe(true);
    expect(await canReach(sandbox, targets.insideIpv4)).toBe(true);
    await kill(platform, "worker");
    expect(["applied", "Unavailable"]).toContain(await updated);
    await expect.poll(isPending, { timeout: 20_000, interval: 50 }).toBe(false);
    expect(await canReach(sandbox, targets.insideIpv4)).toBe(false);
    expect((await sandbox.explain(`${targets.insideIpv4}:${targets.port}`)).rule).toBe("blocked");
  }, 120_000);

  it("of a worker amid creates: every create ends well or leaves nothing", async () => {
    let owner: Owner;
    {
      await using platform = await startPlatform();
      owner = await ownerOf(platform);
      await using client = await clientOf(platform);
      const creates = Array.from({ length: 4 }, () => Sandbox.create({ client }));
      await new Promise((resolve) => setTimeout(resolve, 60)); // somewhere within their starts
      await kill(platform, "worker");
      const results = await Promise.allSettled(creates);
      for (const result of results) {
        if (result.status === "fulfilled") {
          expect((await result.value.run(["echo", "up"])).stdout).toBe("up\n");
          await result.value.terminate();
        } else {
          expect(result.reason).toMatchObject({ code: "Unavailable" });
        }
      }
    }
    expect(leftovers(owner)).toEqual([]);
  });
});

describe("the platform", () => {
  it("stops within 10 s while its sandboxes go on, and takes them up again", async () => {
    const home = await mkdtemp(join(tmpdir(), "sp-"));
    let owner: Owner;
    try {
      const first = await startPlatform({ home });
      owner = await ownerOf(first);
      const { token } = await first.createWorkspace("restart");
      const client = new Client({ url: first.apiUrl, token });
      const sandbox = await Sandbox.create(["python3", "-c", COUNTER], { client });
      const startedAt = performance.now();
      await first.stop();
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      await client[Symbol.asyncDispose]();
      await using second = await startPlatform({ home, ports: first.ports });
      await using again = new Client({ url: second.apiUrl, token });
      const found = await Sandbox.fromId(sandbox.id, { client: again });
      expect((await found.stdout.text()).trim().split("\n")).toEqual(NUMBERS);
      expect(await found.wait()).toEqual({ exitCode: 3, reason: "exited" });
    } finally {
      await rm(home, { recursive: true, force: true });
    }
    expect(leftovers(owner)).toEqual([]);
  });

  it("survives kill -9 of its supervisor", async () => {
    const home = await mkdtemp(join(tmpdir(), "sp-"));
    try {
      const first = await startPlatform({ home });
      const { token } = await first.createWorkspace("supervisor");
      const client = new Client({ url: first.apiUrl, token });
      const sandbox = await Sandbox.create(["sleep", "1000"], { client });
      process.kill((await first.status()).pid, "SIGKILL");
      await client[Symbol.asyncDispose]();
      await using second = await startPlatform({ home, ports: first.ports });
      await using again = new Client({ url: second.apiUrl, token });
      const found = await Sandbox.fromId(sandbox.id, { client: again });
      expect((await found.run(["echo", "still here"])).stdout).toBe("still here\n");
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it("starts no sandbox when rules cannot be loaded", async () => {
    let owner: Owner;
    const directory = await mkdtemp(join(tmpdir(), "sp-nft-"));
    try {
      // A helper that works until the file "broken" is there, then refuses every transaction.
      const real = "/opt/sallyport/native/current/sallyport-nft";
      const helper = join(directory, "nft");
      await writeFile(helper, refusingHelper(real, join(directory, "broken")));
      await chmod(helper, 0o755);
      await using platform = await startPlatform({ env: { SALLYPORT_NFT_HELPER: helper } });
      owner = await ownerOf(platform);
      await using client = await clientOf(platform);
      {
        await using works = await Sandbox.create({ client, network: "blocked" });
        expect((await works.run(["true"])).exitCode).toBe(0);
      }
      await writeFile(join(directory, "broken"), "");
      // Open: one that was made ahead is blocked already, and needs no other rules to stay so.
      await expect(Sandbox.create({ client, network: "open" })).rejects.toMatchObject({ code: "Unavailable" });
      const living: string[] = [];
      for await (const one of Sandbox.list({ client })) living.push(one.id);
      expect(living).toEqual([]);
      await rm(join(directory, "broken"));
      await using worksAgain = await Sandbox.create({ client, network: "open" });
      expect((await worksAgain.run(["true"])).exitCode).toBe(0);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
    expect(leftovers(owner)).toEqual([]);
  });

  it("opens nothing when the host's ruleset is flushed", async () => {
    await using platform = await startPlatform();
    await using client = await clientOf(platform);
    await using blocked = await Sandbox.create({ client, network: "blocked" });
    await using allowed = await Sandbox.create({ client, network: { allow: [targets.allowedIpv4] } });
    await using open = await Sandbox.create({ client });
    expect(await canReach(allowed, targets.insideIpv4)).toBe(true);
    const saved = execFileSync("nft", ["--stateless", "list", "ruleset"], { encoding: "utf8" });
    try {
      execFileSync("nft", ["flush", "ruleset"]);
      expect(await canReach(blocked, targets.insideIpv4)).toBe(false);
      expect(await canReach(blocked, targets.insideIpv6)).toBe(false);
      expect(await canReach(allowed, targets.outsideIpv4)).toBe(false);
      expect(await canReach(open, targets.hostIpv4)).toBe(false);
    } finally {
      execFileSync("nft", ["-f", "-"], { input: `flush ruleset\n${saved}` });
    }
    expect(await canReach(allowed, targets.insideIpv4)).toBe(true);
  });
});

/** A stand-in for the nft session that passes frames through, and answers with an error while `flag` exists. */
function refusingHelper(real: string, flag: string): string {
  return `#!/usr/bin/env python3
import os, struct, subprocess, sys
real = subprocess.Popen([${JSON.stringify(real)}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def read(stream, count):
    data = b""
    while len(data) < count:
        more = stream.read(count - len(data))
        if not more: sys.exit(0)
        data += more
    return data
source, sink = sys.stdin.buffer, sys.stdout.buffer
while True:
    head = read(source, 4)
    body = read(source, struct.unpack(">I", head)[0])
    if os.path.exists(${JSON.stringify(flag)}):
        answer = b"\\x01refused by the test"
        sink.write(struct.pack(">I", len(answer)) + answer)
    else:
        real.stdin.write(head + body); real.stdin.flush()
        head = read(real.stdout, 4)
        sink.write(head + read(real.stdout, struct.unpack(">I", head)[0]))
    sink.flush()
`;
}
