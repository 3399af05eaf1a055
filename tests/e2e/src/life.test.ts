// A sandbox's life as a user writes it: create, run, exec, stream, wait, terminate.
import { SallyportError, Sandbox } from "@sallyport/sdk";
import { beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

let options: { client: Awaited<ReturnType<typeof newWorkspace>>["client"] };
beforeAll(async () => {
  options = { client: (await newWorkspace("life")).client };
});

describe("a sandbox", () => {
  it("runs its command and ends with it, output and exit code intact", async () => {
    const sandbox = await Sandbox.create(["sh", "-c", "echo out; echo err >&2; exit 7"], options);
    expect(await sandbox.wait()).toEqual({ exitCode: 7, reason: "exited" });
    expect(await sandbox.stdout.text()).toBe("out\n");
    expect(await sandbox.stderr.text()).toBe("err\n");
  });

  it("runs under gVisor and not on the host's kernel", async () => {
    await using sandbox = await Sandbox.create(options);
    const { stdout } = await sandbox.run(["dmesg"], { check: true });
    expect(stdout).toContain("Starting gVisor");
  });

  it("execs with environment, working directory and exit status", async () => {
    await using sandbox = await Sandbox.create({ ...options, env: { WHO: "world" }, workdir: "/usr" });
    const hello = await sandbox.run(["sh", "-c", 'echo "hello $WHO $MORE"; pwd'], { env: { MORE: "again" } });
    expect(hello).toMatchObject({ stdout: "hello world again\n/usr\n", stderr: "", exitCode: 0, reason: "exited" });
    const failed = await sandbox.run(["sh", "-c", "kill -TERM $$"]);
    expect(failed).toMatchObject({ exitCode: 143, reason: "signalled", signal: "SIGTERM" });
    await expect(sandbox.run(["false"], { check: true })).rejects.toMatchObject({ code: "ProcessFailed" });
  });

  it("streams output while the process runs, and input into it", async () => {
    await using sandbox = await Sandbox.create(options);
    const process = await sandbox.exec(["sh", "-c", 'while read line; do echo "got $line"; done; echo bye']);
    const lines = process.stdout.lines()[Symbol.asyncIterator]();
    await process.stdin.send("one\n");
    expect(await lines.next()).toEqual({ done: false, value: "got one" });
    await process.stdin.send("two\n");
    expect(await lines.next()).toEqual({ done: false, value: "got two" });
    await process.stdin.end();
    expect(await lines.next()).toEqual({ done: false, value: "bye" });
    expect((await lines.next()).done).toBe(true);
    expect(await process.wait()).toEqual({ exitCode: 0, reason: "exited" });
  });

  it("takes input as a text and as a stream", async () => {
    await using sandbox = await Sandbox.create(options);
    expect((await sandbox.run(["cat"], { stdin: "a text" })).stdout).toBe("a text");
    const big = new Uint8Array(3_000_000).fill(120);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(big);
        controller.close();
      },
    });
    expect((await sandbox.run(["wc", "-c"], { stdin: stream })).stdout.trim()).toBe("3000000");
  });

  it("gives a terminal and resizes it", async () => {
    await using sandbox = await Sandbox.create(options);
    const process = await sandbox.exec(["sh", "-c", "stty size; read go; stty size"], {
      pty: { columns: 100, rows: 30 },
    });
    const lines = process.stdout.lines()[Symbol.asyncIterator]();
    expect((await lines.next()).value).toContain("30 100");
    await process.resize({ columns: 132, rows: 40 });
    await process.stdin.send("go\n");
    const rest: string[] = [];
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) rest.push(line.value);
    expect(rest.join("\n")).toContain("40 132");
  });

  it("signals and bounds processes", async () => {
    await using sandbox = await Sandbox.create(options);
    const sleeper = await sandbox.exec(["sleep", "1000"]);
    expect(await sandbox.poll()).toBeUndefined();
    await sleeper.kill("SIGKILL");
    expect(await sleeper.wait()).toEqual({ exitCode: 137, reason: "signalled", signal: "SIGKILL" });
    const bounded = await sandbox.run(["sleep", "1000"], { lifetimeMs: 1_000 });
    expect(bounded).toMatchObject({ exitCode: 124, reason: "timeout" });
  });

  it("carries 20 MB of output whole", async () => {
    await using sandbox = await Sandbox.create(options);
    const { stdout } = await sandbox.run(["python3", "-c", "for i in range(2_000_000): print('%09d' % i)"], {
      check: true,
    });
    const expected = Array.from({ length: 2_000_000 }, (_, index) => `${String(index).padStart(9, "0")}\n`).join("");
    expect(stdout === expected).toBe(true);
  });

  it("is found again by id, listed while it lives, and ended for good", async () => {
    const sandbox = await Sandbox.create(["sleep", "1000"], options);
    const again = await Sandbox.fromId(sandbox.id, options);
    expect((await again.run(["echo", "here"])).stdout).toBe("here\n");
    const ids = async () => {
      const found: string[] = [];
      for await (const one of Sandbox.list(options)) found.push(one.id);
      return found;
    };
    expect(await ids()).toContain(sandbox.id);
    await again.terminate();
    expect(await sandbox.wait()).toMatchObject({ exitCode: 137, reason: "terminated" });
    expect(await sandbox.poll()).toMatchObject({ reason: "terminated" });
    expect(await ids()).not.toContain(sandbox.id);
    await again.terminate();
    await expect(again.run(["true"])).rejects.toMatchObject({ code: "SandboxEnded" });
  });

  it("outlives its handle when detached and ends with it when not", async () => {
    const ended = await Sandbox.create(["sleep", "1000"], options);
    await ended[Symbol.asyncDispose]();
    expect(await (await Sandbox.fromId(ended.id, options)).poll()).toMatchObject({ reason: "terminated" });
    const kept = await Sandbox.create(["sleep", "1000"], options);
    await kept.detach();
    await kept[Symbol.asyncDispose]();
    const found = await Sandbox.fromId(kept.id, options);
    expect(await found.poll()).toBeUndefined();
    await found.terminate();
  });

  it("ends when its lifetime is over", async () => {
    const sandbox = await Sandbox.create(["sleep", "1000"], { ...options, lifetimeMs: 1_500 });
    expect(await sandbox.wait()).toMatchObject({ exitCode: 124, reason: "timeout" });
  });

  it("is stopped at its memory limit, and says so", async () => {
    const hog = "x = bytearray(0)\nwhile True: x += bytearray(8 << 20)";
    const sandbox = await Sandbox.create(["python3", "-c", hog], { ...options, memoryMiB: 160 });
    const status = await sandbox.wait();
    expect(["oom", "signalled"]).toContain(status.reason);
    expect(status.exitCode).toBe(137);
  });

  it("cancels a call by signal and by deadline", async () => {
    await using sandbox = await Sandbox.create(options);
    const error = await sandbox.wait({ timeoutMs: 300 }).catch((reason: unknown) => reason);
    expect(SallyportError.is(error, "DeadlineExceeded")).toBe(true);
    const abort = new AbortController();
    const waiting = sandbox.wait({ signal: abort.signal }).catch((reason: unknown) => reason);
    abort.abort();
    expect(SallyportError.is(await waiting, "Cancelled")).toBe(true);
  });
});
