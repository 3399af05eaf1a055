// Names, tags, sleep, events and usage, as programs use them, against real protos on real sockets.
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SandboxEvent } from "./index.ts";
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

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not there");
  return value;
}
const create = (options = {}) => Sandbox.create({ client, ...options });
const ids = async (options = {}) => {
  const found: string[] = [];
  for await (const sandbox of Sandbox.list({ client, ...options })) found.push(sandbox.id);
  return found;
};

describe("a create", () => {
  it("hands on every option, and shows what came of it", async () => {
    const options = {
      name: "db",
      tags: { team: "core" },
      idleTimeoutMs: 60_000,
      sleepAfterMs: 5_000,
      diskMiB: 64,
    };
    const sandbox = await create(options);
    expect(must(platform.sandboxes.get(sandbox.id)).request).toMatchObject({
      name: "db",
      tags: { team: "core" },
      idleTimeoutMs: 60_000,
      sleepAfterMs: 5_000,
      diskMib: 64,
    });
    expect(sandbox.info).toMatchObject({ ...options, asleep: false });
  });

  it.each([
    ["diskMiB", { diskMiB: 0.5 }],
    ["idleTimeoutMs", { idleTimeoutMs: -1 }],
    ["sleepAfterMs", { sleepAfterMs: Number.NaN }],
    ["tags.a", { tags: { a: "\ud800" } }],
  ])("refuses what has no form on the wire: %s", async (field, options) => {
    await expect(create(options)).rejects.toMatchObject({ code: "InvalidArgument", field });
    expect(platform.calls).toEqual([]);
  });

  it("speaks of fields as this package calls them", async () => {
    for (const [wire, field] of [
      ["idle_timeout_ms", "idleTimeoutMs"],
      ["sleep_after_ms", "sleepAfterMs"],
      ["disk_mib", "diskMiB"],
      ["tags.a", "tags.a"],
    ] as const) {
      platform.fail("createSandbox", { code: "InvalidArgument", field: wire });
      await expect(create()).rejects.toMatchObject({ field });
    }
  });

  it("over a quota is told when to come again, and not repeated", async () => {
    platform.fail("createSandbox", { code: "ResourceExhausted", retryAfterMs: 1_234 });
    await expect(create()).rejects.toMatchObject({ code: "ResourceExhausted", retryAfterMs: 1_234, retryable: true });
    expect(platform.calls).toEqual(["createSandbox"]);
  });
});

describe("finding", () => {
  it("by name finds the living one of the app", async () => {
    const sandbox = await create({ name: "db" });
    expect((await Sandbox.fromName("default", "db", { client })).id).toBe(sandbox.id);
    await expect(Sandbox.fromName("web", "db", { client })).rejects.toMatchObject({ code: "NotFound", field: "name" });
    await sandbox.terminate();
    await expect(Sandbox.fromName("default", "db", { client })).rejects.toMatchObject({ code: "NotFound" });
  });

  it("by filters lists page after page", async () => {
    const made = [];
    for (let index = 0; index < 5; index += 1) made.push((await create({ tags: { team: "core", n: `${index}` } })).id);
    await create({ tags: { team: "other" }, name: "x" });
    expect(await ids({ tags: { team: "core" } })).toEqual(made);
    expect(platform.calls.filter((call) => call === "listSandboxes")).toHaveLength(3);
    expect(await ids({ tags: { team: "core", n: "3" } })).toEqual([made[3]]);
    expect(await ids({ name: "x" })).toHaveLength(1);
  });
});

describe("a sandbox", () => {
  it("takes tags, sleeps and wakes", async () => {
    const sandbox = await create({ tags: { a: "1" } });
    await sandbox.setTags({ b: "2" });
    expect(sandbox.info.tags).toEqual({ b: "2" });
    await sandbox.sleep();
    expect(sandbox.info.asleep).toBe(true);
    platform.fail("wakeSandbox", { code: "Unavailable" });
    await sandbox.wake();
    expect(sandbox.info.asleep).toBe(false);
    await sandbox.terminate();
    await expect(sandbox.sleep()).rejects.toMatchObject({ code: "SandboxEnded" });
  });

  it("knows its processes, and makes handles of them", async () => {
    const sandbox = await Sandbox.create(["cat"], { client });
    const made = await sandbox.exec(["echo", "hello"]);
    await made.wait();
    const known = await sandbox.processes();
    expect(known.map(({ id, command }) => [id, command])).toEqual([
      ["entrypoint", ["cat"]],
      [made.id, ["echo", "hello"]],
    ]);
    expect(known[1]?.exitStatus).toMatchObject({ exitCode: 0 });
    const same = sandbox.process(made.id);
    expect(await same.stdout.text()).toBe("hello\n");
    expect(await same.wait()).toMatchObject({ exitCode: 0 });
    await expect(sandbox.process("none").wait()).rejects.toMatchObject({ code: "NotFound" });
  });

  it("reads what is there of an output that goes on", async () => {
    const sandbox = await Sandbox.create(["cat"], { client });
    await sandbox.stdin.send("so far");
    await expect.poll(() => sandbox.stdout.from(0, { follow: false }).text()).toBe("so far");
  });
});

describe("events", () => {
  const types = (events: readonly SandboxEvent[]) => events.map((event) => event.type);

  it("are read to now, or from one on", async () => {
    const sandbox = await create();
    await sandbox.setTags({});
    const read = [];
    for await (const event of sandbox.events()) read.push(event);
    expect(types(read)).toEqual(["created", "tags_changed"]);
    expect(read[1]).toMatchObject({ seq: 2, detail: { count: 0 } });
    expect(read[1]?.at).toBeInstanceOf(Date);
    const later = [];
    for await (const event of sandbox.events({ afterSeq: 1 })) later.push(event);
    expect(later).toEqual(read.slice(1));
  });

  it("are followed to the end through an outage, each once", async () => {
    const sandbox = await create();
    const read: SandboxEvent[] = [];
    const following = (async () => {
      for await (const event of sandbox.events({ follow: true })) read.push(event);
    })();
    await expect.poll(() => types(read)).toEqual(["created"]);
    platform.killApi();
    must(platform.sandboxes.get(sandbox.id)).tell("disk_full");
    platform.fail("watchSandboxEvents", { code: "Unavailable" });
    await platform.startApi();
    await expect.poll(() => types(read)).toEqual(["created", "disk_full"]);
    await sandbox.terminate();
    await following;
    expect(read.map((event) => event.seq)).toEqual([1, 2, 3]);
    expect(types(read).at(-1)).toBe("ended");
  });

  it("stop when told to, at the deadline, and with the handle", async () => {
    const sandbox = await create();
    const follow = async (options: object) => {
      for await (const event of sandbox.events({ follow: true, ...options })) void event;
    };
    const stop = new AbortController();
    const following = follow({ signal: stop.signal });
    await expect.poll(() => platform.calls.at(-1)).toBe("watchSandboxEvents");
    stop.abort();
    await expect(following).rejects.toMatchObject({ code: "Cancelled" });
    await expect(follow({ timeoutMs: 50 })).rejects.toMatchObject({ code: "DeadlineExceeded" });
    const letGo = follow({});
    await expect.poll(() => platform.calls.filter((call) => call === "watchSandboxEvents")).toHaveLength(3);
    await sandbox.detach();
    await expect(letGo).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("of nothing are not found", async () => {
    const sandbox = await create();
    platform.sandboxes.delete(sandbox.id);
    const read = async () => {
      for await (const event of sandbox.events()) void event;
    };
    await expect(read()).rejects.toMatchObject({ code: "NotFound", field: "id" });
  });
});

describe("usage", () => {
  it("tells quota and use", async () => {
    await create({ cpu: 0.25, memoryMiB: 256, diskMiB: 64 });
    expect(await client.usage()).toEqual({
      quota: { sandboxes: 1_000, cpu: 1_000, memoryMiB: 1_048_576, diskMiB: 4_194_304, createsPerMinute: 1_200 },
      used: { sandboxes: 1, cpu: 0.25, memoryMiB: 256, diskMiB: 64, createsPerMinute: 1 },
    });
  });
});
