// The SDK against the real protos on real sockets: creating, running, ending.
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { App, Client, Image, SallyportError, Sandbox } from "./index.ts";

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

async function failure(promise: Promise<unknown>): Promise<SallyportError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!SallyportError.is(error)) throw new Error("no SallyportError was thrown", { cause: error });
  return error;
}

function livingSandboxes(): number {
  return [...platform.sandboxes.values()].filter((sandbox) => sandbox.view.outcome === undefined).length;
}

describe("create", () => {
  it("sends every option in the words of the wire", async () => {
    const app = await App.lookup("web", { createIfMissing: true, client });
    await using sandbox = await Sandbox.create(["sleep", "9"], {
      client,
      app,
      image: Image.default,
      env: { A: "1" },
      workdir: "/srv",
      lifetimeMs: 5_000,
      cpu: 0.5,
      memoryMiB: 256,
      pty: { columns: 100, rows: 30 },
      outboundCidrAllowlist: ["198.51.100.0/24"],
    });
    expect(platform.sandboxes.get(sandbox.id)?.request).toMatchObject({
      appName: "web",
      image: "default",
      command: { argv: ["sleep", "9"] },
      env: { A: "1" },
      workdir: "/srv",
      lifetimeMs: 5_000,
      cpuMillis: 500,
      memoryMib: 256,
      pty: { columns: 100, rows: 30 },
      network: { mode: { $case: "allow", value: { cidrs: ["198.51.100.0/24"] } } },
    });
    expect(sandbox.info).toMatchObject({ app: "web", state: "running", cpu: 0.5, command: ["sleep", "9"] });
    expect(sandbox.info.network).toEqual({ allow: ["198.51.100.0/24"] });
  });

  it("leaves what is not stated unset, and the command with it", async () => {
    await using sandbox = await Sandbox.create({ client });
    const request = platform.sandboxes.get(sandbox.id)?.request;
    expect(request).toMatchObject({ appName: undefined, command: undefined, network: undefined, pty: undefined });
    const error = await failure(sandbox.stdout.text());
    expect(error).toMatchObject({ code: "FailedPrecondition" });
  });

  it("makes one sandbox when answers are lost", async () => {
    const lost = { code: "Unavailable", after: true, retryAfterMs: 10 } as const;
    platform.fail("createSandbox", lost, { code: "DeadlineExceeded", after: true });
    await using sandbox = await Sandbox.create({ client });
    expect(platform.calls.filter((call) => call === "createSandbox")).toHaveLength(3);
    expect([...platform.sandboxes.keys()]).toEqual([sandbox.id]);
  });

  it("does not repeat a start that failed", async () => {
    platform.fail("createSandbox", { code: "Unavailable", after: true });
    expect(await failure(Sandbox.create({ client }))).toMatchObject({ code: "Unavailable", retryable: true });
    await client[Symbol.asyncDispose]();
    expect(livingSandboxes()).toBe(0);
  });

  it("is refused by the api with the field, and leaves nothing", async () => {
    const error = await failure(Sandbox.create([], { client }));
    expect(error).toMatchObject({ code: "InvalidArgument", field: "command", requestId: "fake-request" });
    platform.fail("createSandbox", { code: "InvalidArgument", field: "network.allow.cidrs[1]" });
    const named = await failure(Sandbox.create({ client, network: { allow: ["x"] } }));
    expect(named.field).toBe("network.allow[1]");
    expect(named.message).toMatch(/^network\.allow\[1\]: /);
    expect(platform.sandboxes.size).toBe(0);
  });

  it("refuses what has no form on the wire without asking", async () => {
    const both = { client, blockNetwork: true, outboundCidrAllowlist: [] as string[] };
    // @ts-expect-error The types forbid it; callers without types get a coded error.
    expect(await failure(Sandbox.create(both))).toMatchObject({
      code: "InvalidArgument",
      field: "outboundCidrAllowlist",
    });
    expect(await failure(Sandbox.create({ client, cpu: -1 }))).toMatchObject({ field: "cpu" });
    expect(await failure(Sandbox.create({ client, memoryMiB: 0.5 }))).toMatchObject({ field: "memoryMiB" });
    expect(await failure(Sandbox.create(["echo", "\ud800"], { client }))).toMatchObject({ field: "command[1]" });
    expect(platform.calls).toEqual([]);
  });

  it("aborted, rejects at once and ends what was made", async () => {
    platform.createDelayMs = 60_000;
    const controller = new AbortController();
    const creating = failure(Sandbox.create({ client, signal: controller.signal }));
    await expect.poll(() => platform.sandboxes.size).toBe(1);
    controller.abort("enough");
    expect(await creating).toMatchObject({ code: "Cancelled", cause: "enough" });
    await expect.poll(livingSandboxes).toBe(0);
  });

  it("past its deadline, ends what was made", async () => {
    platform.createDelayMs = 60_000;
    const error = await failure(Sandbox.create({ client, timeoutMs: 100 }));
    expect(error).toMatchObject({ code: "DeadlineExceeded", retryable: true });
    await client[Symbol.asyncDispose]();
    expect(platform.sandboxes.size).toBe(1);
    expect(livingSandboxes()).toBe(0);
  });

  it("gives up soon on an api that never was there", async () => {
    platform.killApi();
    const nowhere = new Client({ url: platform.apiUrl, token: "t" });
    const error = await failure(Sandbox.create({ client: nowhere }));
    expect(error).toMatchObject({ code: "Unavailable" });
    expect(error.hint).toContain("doctor");
  });

  it("waits for an api that restarts", async () => {
    await App.lookup("web", { client });
    platform.killApi();
    const creating = Sandbox.create({ client });
    setTimeout(() => void platform.startApi(), 300);
    await using sandbox = await creating;
    expect(sandbox.id).toMatch(/^sb-/);
  });
});

describe("a sandbox", () => {
  it("terminates at the end of its block, unless detached", async () => {
    let id = "";
    {
      await using sandbox = await Sandbox.create({ client });
      id = sandbox.id;
    }
    expect(platform.sandboxes.get(id)?.view.outcome?.exitCode).toBe(137);
    {
      await using sandbox = await Sandbox.create({ client });
      id = sandbox.id;
      await sandbox.detach();
      expect(await failure(sandbox.poll())).toMatchObject({ code: "FailedPrecondition" });
    }
    expect(platform.sandboxes.get(id)?.view.outcome).toBeUndefined();
    const again = await Sandbox.fromId(id, { client });
    await again.terminate();
    await again.terminate();
    expect(await again.poll()).toEqual({ exitCode: 137, reason: "terminated" });
  });

  it("waits for its end through a restart of the api", async () => {
    const sandbox = await Sandbox.create(["count", "400", "2"], { client });
    expect(await sandbox.poll()).toBeUndefined();
    const waiting = sandbox.wait();
    platform.killApi();
    setTimeout(() => void platform.startApi(), 200);
    expect(await waiting).toEqual({ exitCode: 0, reason: "exited" });
    expect((await sandbox.stdout.text()).split("\n")).toHaveLength(401);
  });

  it("lists page by page, ended ones on request", async () => {
    const made = [];
    for (let index = 0; index < 5; index += 1) made.push(await Sandbox.create({ client, app: "web" }));
    await made[0]?.terminate();
    const ids = async (options: object) =>
      (await Array.fromAsync(Sandbox.list({ client, ...options }))).map((s) => s.id);
    expect(await ids({})).toEqual(made.slice(1).map((sandbox) => sandbox.id));
    expect(await ids({ includeEnded: true })).toHaveLength(5);
    expect(await ids({ app: "other" })).toEqual([]);
  });

  it("is nobody else's", async () => {
    expect(await failure(Sandbox.fromId("sb-none", { client }))).toMatchObject({ code: "NotFound", field: "id" });
    const stranger = new Client({ url: platform.apiUrl, token: "wrong" });
    const error = await failure(Sandbox.fromId("sb-none", { client: stranger }));
    expect(error).toMatchObject({ code: "Unauthenticated", retryable: false });
    expect(await failure(App.lookup("missing", { client }))).toMatchObject({ code: "NotFound", field: "name" });
  });
});

describe("run", () => {
  it("collects output and status", async () => {
    await using sandbox = await Sandbox.create({ client, env: { GREETING: "hello" } });
    expect(await sandbox.run(["printenv", "GREETING"])).toEqual({
      exitCode: 0,
      reason: "exited",
      stdout: "hello\n",
      stderr: "",
    });
    expect(await sandbox.run(["fail", "3", "why"])).toMatchObject({ exitCode: 3, stderr: "why" });
  });

  it("feeds standard input, and gives none by default", async () => {
    await using sandbox = await Sandbox.create({ client });
    expect((await sandbox.run(["cat"])).stdout).toBe("");
    expect((await sandbox.run(["cat"], { stdin: "héllo" })).stdout).toBe("héllo");
    const stream = ReadableStream.from([Buffer.from("a"), Buffer.from("b")]);
    expect((await sandbox.run(["cat"], { stdin: stream })).stdout).toBe("ab");
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("disk gone")) });
    await expect(sandbox.run(["cat"], { stdin: broken })).rejects.toThrow("disk gone");
  });

  it("rejects with check, showing the end of stderr", async () => {
    await using sandbox = await Sandbox.create({ client });
    const error = await failure(sandbox.run(["fail", "3", "one\ntwo\n"], { check: true }));
    expect(error.code).toBe("ProcessFailed");
    expect(error.message).toContain("exit code 3");
    expect(error.message).toContain("two");
    expect(error.result).toMatchObject({ exitCode: 3, stderr: "one\ntwo\n" });
  });

  it("kills what it no longer waits for", async () => {
    await using sandbox = await Sandbox.create({ client });
    expect(await failure(sandbox.run(["sleep"], { timeoutMs: 100 }))).toMatchObject({ code: "DeadlineExceeded" });
    const [process] = platform.sandboxes.get(sandbox.id)?.processes.values() ?? [];
    await expect.poll(() => process?.signals).toEqual(["SIGKILL"]);
  });

  it("kills what was started for a caller that went away", async () => {
    const sandbox = await Sandbox.create({ client });
    platform.fail("startExec", ...Array.from({ length: 99 }, () => ({ code: "Unavailable" as const, after: true })));
    const error = await failure(sandbox.exec(["sleep"], { timeoutMs: 200 }));
    expect(error).toMatchObject({ code: "DeadlineExceeded" });
    const processes = [...(platform.sandboxes.get(sandbox.id)?.processes.values() ?? [])];
    expect(processes).toHaveLength(1);
    // Neither the handle's end nor the client's cuts the cleaning up.
    await sandbox.detach();
    await client[Symbol.asyncDispose]();
    expect(processes[0]?.signals).toEqual(["SIGKILL"]);
  });

  it("says that the sandbox has ended, known or not", async () => {
    const sandbox = await Sandbox.create({ client });
    const other = await Sandbox.fromId(sandbox.id, { client });
    await other.terminate();
    expect(await failure(sandbox.run(["echo"]))).toMatchObject({ code: "SandboxEnded" });
    expect(await failure(other.exec(["echo"]))).toMatchObject({ code: "SandboxEnded" });
  });

  it("names the field when the command cannot be started", async () => {
    await using sandbox = await Sandbox.create({ client });
    expect(await failure(sandbox.exec(["nonesuch"]))).toMatchObject({ code: "InvalidArgument", field: "command" });
    expect(await failure(sandbox.exec([]))).toMatchObject({ code: "InvalidArgument", field: "command" });
  });
});
