// Sleep as a user meets it: what nothing uses is frozen, whatever comes wakes it, and nobody notices.
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { openPort } from "@sallyport/dataplane";
import { Client, Sandbox } from "@sallyport/sdk";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { instanceOf, newWorkspace } from "./workspace.ts";

const SECOND = 1_000;
let client: Client;

beforeAll(async () => {
  client = (await newWorkspace("sleep")).client;
});

/** As the api has it now. */
async function isAsleep({ id }: Sandbox, from: Client = client): Promise<boolean> {
  return (await Sandbox.fromId(id, { client: from })).info.asleep;
}

async function untilAsleep(sandbox: Sandbox): Promise<void> {
  await expect.poll(() => isAsleep(sandbox), { timeout: 20 * SECOND, interval: 50 }).toBe(true);
}

async function untilAwake(sandbox: Sandbox, from: Client = client): Promise<void> {
  await expect.poll(() => isAsleep(sandbox, from), { timeout: 20 * SECOND, interval: 50 }).toBe(false);
}

/** Falling asleep and waking so far, and by what. */
async function historyOf(sandbox: Sandbox): Promise<unknown[]> {
  const events = await Array.fromAsync(sandbox.events());
  return events.filter(({ type }) => type === "asleep" || type === "awake").map(({ type, detail }) => [type, detail]);
}

const ASLEEP_IDLE = ["asleep", { by: "idle" }];
const ASLEEP_BY_HAND = ["asleep", { by: "hand" }];
const AWAKE_BY_USE = ["awake", { by: "use" }];
const AWAKE_BY_HAND = ["awake", { by: "hand" }];

describe("a sandbox that sleeps after a second without use", () => {
  it("is woken by an exec, and by what reads what an earlier one said, and sleeps again", async () => {
    await using sandbox = await Sandbox.create({ client, sleepAfterMs: SECOND });
    const said = await sandbox.exec(["echo", "said before"]);
    expect(await said.wait()).toMatchObject({ exitCode: 0 });
    const slept = (times: number) => {
      const history = Array.from({ length: times }, () => [ASLEEP_IDLE, AWAKE_BY_USE])
        .flat()
        .slice(0, -1);
      return expect.poll(() => historyOf(sandbox), { timeout: 20 * SECOND, interval: 50 }).toEqual(history);
    };
    await slept(1);
    expect((await sandbox.run(["echo", "awake"])).stdout).toBe("awake\n");
    await slept(2);
    expect(await said.stdout.text()).toBe("said before\n");
    await slept(3);
  });

  it("is not put to sleep while an exec runs", async () => {
    await using sandbox = await Sandbox.create({ client, sleepAfterMs: SECOND });
    await sandbox.run(["sleep", "3"]);
    expect(await historyOf(sandbox)).toEqual([]);
    await untilAsleep(sandbox);
  });

  it("is woken by a connection through the gateway's door", async () => {
    const argv = ["python3", "-m", "http.server", "--bind", "0.0.0.0", "8080"];
    await using sandbox = await Sandbox.create(argv, { client, sleepAfterMs: SECOND });
    const door = join(inject("home"), "run/gateway/open/open.sock");
    const target = { sandboxId: sandbox.id, instanceId: await instanceOf(sandbox.id), port: 8080, grantPort: 8080 };
    const ask = async () => {
      const socket = await openPort(door, target, { timeoutMs: 5 * SECOND });
      socket.end("GET / HTTP/1.0\r\n\r\n");
      return await text(socket);
    };
    // Until it listens.
    await expect.poll(() => ask().catch(String), { timeout: 20 * SECOND }).toContain("200 OK");
    await untilAsleep(sandbox);
    expect(await ask()).toContain("200 OK");
  });

  it("is terminated asleep", async () => {
    const sandbox = await Sandbox.create({ client, sleepAfterMs: SECOND });
    await untilAsleep(sandbox);
    await sandbox.terminate();
    expect(await sandbox.wait()).toMatchObject({ reason: "terminated" });
    expect(await isAsleep(sandbox)).toBe(false);
  });

  it("lives no longer for it: lifetime and idle timeout go on", async () => {
    const idle = await Sandbox.create({ client, sleepAfterMs: SECOND, idleTimeoutMs: 3 * SECOND });
    const late = await Sandbox.create({ client, sleepAfterMs: SECOND, lifetimeMs: 4 * SECOND });
    for (const sandbox of [idle, late]) await untilAsleep(sandbox);
    expect(await idle.wait()).toMatchObject({ reason: "idle" });
    expect(await late.wait()).toMatchObject({ reason: "timeout" });
  });
});

it("a sandbox with an idle timeout ends once nothing has used it", async () => {
  const sandbox = await Sandbox.create({ client, idleTimeoutMs: SECOND });
  await sandbox.run(["sleep", "2"]);
  expect(await sandbox.wait()).toEqual({ exitCode: 124, reason: "idle" });
});

describe("by hand", () => {
  it("a sandbox sleeps in the middle of its work, and goes on where it was", async () => {
    await using sandbox = await Sandbox.create({ client });
    const script = "import time\nfor i in range(100):\n    print(i, flush=True)\n    time.sleep(0.02)";
    const counter = await sandbox.exec(["python3", "-c", script]);
    const seen: string[] = [];
    for await (const line of counter.stdout.lines()) {
      seen.push(line);
      if (seen.length !== 30) continue;
      await sandbox.sleep();
      expect(await isAsleep(sandbox)).toBe(true);
      await sandbox.wake();
      expect(await isAsleep(sandbox)).toBe(false);
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
    expect(await counter.wait()).toMatchObject({ exitCode: 0 });
    expect(await historyOf(sandbox)).toEqual([ASLEEP_BY_HAND, AWAKE_BY_HAND]);
  });

  it("twice changes nothing, and use wakes it", async () => {
    await using sandbox = await Sandbox.create({ client });
    await sandbox.sleep();
    await sandbox.sleep();
    expect(await isAsleep(sandbox)).toBe(true);
    expect((await sandbox.run(["echo", "hi"])).stdout).toBe("hi\n");
    // That it is awake is told after it has been woken: the answer may be here first.
    await untilAwake(sandbox);
    expect(await historyOf(sandbox)).toEqual([ASLEEP_BY_HAND, AWAKE_BY_USE]);
  });
});

/** kill -9 of a child, and the wait until the supervisor has it back. */
async function kill(platform: TestPlatform, name: string): Promise<void> {
  const before = (await platform.status()).children.find((child) => child.name === name);
  if (before === undefined) throw new Error(`no child ${name}`);
  process.kill(before.pid, "SIGKILL");
  const back = async () => {
    const now = (await platform.status()).children.find((child) => child.name === name);
    return now?.state === "ready" && now.pid !== before.pid;
  };
  await expect.poll(back, { timeout: 30 * SECOND, interval: 50 }).toBe(true);
}

it(
  "kill -9 of worker and gateway while three sandboxes sleep: they sleep on, keep what was said, and wake",
  async () => {
    await using platform = await startPlatform();
    const { token } = await platform.createWorkspace("sleep-kill");
    await using own = new Client({ url: platform.apiUrl, token });
    const sandboxes = await Promise.all([1, 2, 3].map(() => Sandbox.create({ client: own })));
    const execs = await Promise.all(
      sandboxes.map((sandbox) => sandbox.exec(["sh", "-c", "echo said; read line; sleep 1; exit 4"])),
    );
    for (const sandbox of sandboxes) await sandbox.sleep();
    await kill(platform, "gateway");
    await kill(platform, "worker");
    await Promise.all([kill(platform, "gateway"), kill(platform, "worker")]);
    for (const sandbox of sandboxes) expect(await isAsleep(sandbox, own)).toBe(true);
    for (const [index, exec] of execs.entries()) {
      const lines = exec.stdout.lines()[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("said");
      await exec.stdin.send("go\n");
      expect(await exec.wait()).toMatchObject({ exitCode: 4 });
      const sandbox = sandboxes[index];
      if (sandbox !== undefined) await untilAwake(sandbox, own);
    }
  },
  120 * SECOND,
);
