// SandboxIO and the worker's calls against the real init: what users do all day.

import { EndReason, OutputStream } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IoClient } from "./harness.ts";
import { chunkOf, eventually, Harness, idOf, refusal } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

let harness: Harness;
let init: RealInit;
let io: IoClient;

beforeAll(async () => {
  harness = await Harness.start();
  init = await startRealInit();
  io = await harness.ready({ number: 1, ...init });
});

afterAll(async () => {
  io.close();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
});

describe("SandboxIO", () => {
  it("runs a command: output, error output, exit status", async () => {
    await io.start("echo", ["sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(await io.text("echo")).toBe("out\n");
    expect(await io.text("echo", OutputStream.STDERR)).toBe("err\n");
    expect(await io.wait("echo")).toEqual({ reason: EndReason.EXITED, exitCode: 7 });
  });

  it("runs a command to its end in one call, and once", async () => {
    const all = async (more: { stdoutOffset?: number }) => {
      const texts = { stdout: "", stderr: "" };
      let last: unknown;
      for await (const { event } of io.run("whole", ["sh", "-c", "echo out; echo err >&2; exit 7"], more)) {
        last = event?.$case === "outcome" ? event.value : undefined;
        if (event?.$case === "stdout" || event?.$case === "stderr")
          texts[event.$case] += chunkOf(event.value).toString();
      }
      return { ...texts, last };
    };
    const outcome = { reason: EndReason.EXITED, exitCode: 7 };
    expect(await all({})).toEqual({ stdout: "out\n", stderr: "err\n", last: outcome });
    expect(await all({ stdoutOffset: 2 })).toEqual({ stdout: "t\n", stderr: "err\n", last: outcome });
    expect(await refusal(Array.fromAsync(io.run("nothing", ["no-such-program"])))).toBe("InvalidArgument command");
  });

  it("lets a run's outputs go when its caller leaves", async () => {
    const left = new AbortController();
    const running = io.run("flood", ["sh", "-c", "yes; true"], {}, left.signal);
    for await (const { event } of running) if (event?.$case === "stdout") break;
    left.abort();
    await io.signal("flood", "SIGKILL");
    expect(await io.wait("flood")).toMatchObject({ reason: EndReason.SIGNALLED });
  });

  it("gives environment and working directory", async () => {
    await harness.open(1, { BASE: "b", BOTH: "base" });
    await io.start("env", ["sh", "-c", 'echo "$BASE $BOTH"; pwd'], { env: { BOTH: "mine" }, workdir: "/usr" });
    expect(await io.text("env")).toBe("b mine\n/usr\n");
  });

  it("takes the same start twice, and refuses another command under the id", async () => {
    await io.start("twice", ["sh", "-c", "echo once"]);
    await io.start("twice", ["sh", "-c", "echo once"]);
    expect(await io.text("twice")).toBe("once\n");
    expect(await refusal(io.start("twice", ["true"]))).toBe("AlreadyExists exec_id");
  });

  it("feeds standard input by offsets, repeated ones ignored", async () => {
    await io.start("cat", ["cat"], { stdin: true });
    expect(await io.write("cat", 0, "hello ")).toEqual({ acceptedOffset: 6, closed: false });
    expect(await io.write("cat", 0, "hello wor")).toMatchObject({ acceptedOffset: 9 });
    expect(await refusal(io.write("cat", 11, "x"))).toBe("InvalidArgument offset");
    await io.write("cat", 9, "ld", true);
    expect(await io.text("cat")).toBe("hello world");
    expect(await io.wait("cat")).toMatchObject({ exitCode: 0 });
    expect(await io.write("cat", 11, "")).toMatchObject({ acceptedOffset: 11 });
  });

  it("paces input by what the process reads", async () => {
    await io.start("slow", ["sh", "-c", "read go; cat | wc -c"], { stdin: true });
    const data = Buffer.alloc(256 * 1024, "a");
    data.write("\n", 0);
    expect(await io.write("slow", 0, data, true)).toEqual({ acceptedOffset: data.length, closed: false });
    expect(await io.text("slow")).toBe(`${data.length - 1}\n`);
  });

  it("says when nobody reads the input", async () => {
    await io.start("deaf", ["sh", "-c", "exec <&-; echo closed; sleep 0.1"], { stdin: true });
    expect(await io.text("deaf")).toBe("closed\n");
    expect(await io.write("deaf", 0, Buffer.alloc(256 * 1024))).toMatchObject({ closed: true });
  });

  it("tells signals by name", async () => {
    await io.start("sleep", ["sleep", "100"]);
    expect(await io.wait("sleep", 0)).toBeUndefined();
    await io.signal("sleep", "SIGTERM");
    expect(await io.wait("sleep")).toEqual({ reason: EndReason.SIGNALLED, exitCode: 143, signal: "SIGTERM" });
    await io.signal("sleep", "SIGTERM");
    expect(await refusal(io.signal("sleep", "SIGWHAT"))).toBe("InvalidArgument signal");
  });

  it("kills what outlives its lifetime", async () => {
    await io.start("late", ["sh", "-c", "trap '' TERM; sleep 100"], { lifetimeMs: 50 });
    expect(await io.wait("late")).toEqual({ reason: EndReason.TIMEOUT, exitCode: 124 });
  });

  it("gives a terminal of the size asked for, and resizes it", async () => {
    const script = "trap 'stty size; exit 3' WINCH; stty size; while :; do sleep 0.02; done";
    await io.start("pty", ["sh", "-c", script], { pty: { columns: 80, rows: 24 }, stdin: true });
    await eventually("the size", async () => (await readNow(io, "pty")).includes("24 80"));
    await io.resize("pty", 100, 30);
    expect(await io.text("pty")).toBe("24 80\r\n30 100\r\n");
    expect(await io.text("pty", OutputStream.STDERR)).toBe("");
    expect(await io.wait("pty")).toMatchObject({ exitCode: 3 });
  });

  it("reads from any offset, and knows the end", async () => {
    await io.start("ten", ["printf", "0123456789"]);
    await io.wait("ten");
    const events = await Array.fromAsync(io.read("ten", { offset: 4 }), ({ event }) => event);
    expect(events).toEqual([
      { $case: "chunk", value: { offset: 4, data: Buffer.from("456789") } },
      { $case: "end", value: { offset: 10 } },
    ]);
    expect(await Array.fromAsync(io.read("ten", { offset: 10 }), ({ event }) => event?.$case)).toEqual(["end"]);
    expect(await refusal(Array.fromAsync(io.read("ten", { offset: 11 })))).toBe("InvalidArgument offset");
  });

  it("names the field of what cannot be started", async () => {
    expect(await refusal(io.start("none", ["no-such-program"]))).toBe("InvalidArgument command");
    expect(await refusal(io.start("none", ["true"], { workdir: "/no/such/place" }))).toBe("InvalidArgument workdir");
    expect(await refusal(io.wait("none"))).toBe("NotFound exec_id");
    await io.start("none", ["true"]);
  });

  it.each([
    ["exec_id", "", ["true"], {}],
    ["exec_id", "entrypoint", ["true"], {}],
    ["exec_id", "a/b", ["true"], {}],
    ["command", "x", [], {}],
    ["command", "x", [""], {}],
    ["command", "x", ["a\0b"], {}],
    ["command", "x", Array.from({ length: 1_025 }, () => "a"), {}],
    ["command", "x", ["a".repeat(128 * 1024)], {}],
    ["env", "x", ["true"], { env: { "A=B": "c" } }],
    ["env", "x", ["true"], { env: { A: "\0" } }],
    ["workdir", "x", ["true"], { workdir: "relative" }],
    ["pty", "x", ["true"], { pty: { columns: 0, rows: 10 } }],
    ["pty", "x", ["true"], { pty: { columns: 80, rows: 1_001 } }],
    ["lifetime_ms", "x", ["true"], { lifetimeMs: 0 }],
    ["lifetime_ms", "x", ["true"], { lifetimeMs: 86_400_001 }],
  ])("refuses %s out of bounds (%#)", async (field, execId, argv, more) => {
    expect(await refusal(io.start(execId, argv, more))).toBe(`InvalidArgument ${field}`);
  });

  it("runs many at once", async () => {
    const ids = Array.from({ length: 60 }, (_, index) => `many-${index}`);
    await Promise.all(ids.map((id) => io.start(id, ["sh", "-c", `echo ${id}`])));
    expect(await Promise.all(ids.map((id) => io.text(id)))).toEqual(ids.map((id) => `${id}\n`));
  });

  it("refuses a token of another sandbox", async () => {
    const other = await harness.io(2);
    expect(await refusal(other.wait("echo"))).toBe("NotFound");
    other.close();
  });
});

describe("the worker's calls", () => {
  it("waits for init no longer than asked", async () => {
    expect(await refusal(harness.attach({ number: 9, port: 1, secret: Buffer.alloc(32) }, 50))).toBe("Unavailable");
    expect(await refusal(harness.attach({ number: 9, port: 1, secret: Buffer.alloc(31) }, 50))).toBe(
      "InvalidArgument init_secret",
    );
  });

  it("runs the entrypoint, tells its end once its output is kept, and keeps it after the detachment", async () => {
    await using second = await startRealInit();
    await harness.attach({ number: 3, ...second });
    const instanceId = idOf("in", 3);
    const { control } = harness;
    const start = (argv: string[], workdir = "/") =>
      callUnary(control, control.startEntrypoint, { instanceId, command: { argv }, env: {}, workdir });
    expect(await refusal(start([]))).toBe("InvalidArgument command");
    expect(await refusal(start(["/no/such/program"]))).toBe("InvalidArgument command");
    expect(await refusal(start(["/bin/true"], "/no/such/place"))).toBe("InvalidArgument workdir");
    const script = "/bin/sleep 100 & echo started; read line; echo $line; exit 5";
    await start(["/bin/sh", "-c", script]);
    await start(["/bin/sh", "-c", script]);
    const early = await harness.io(3);
    expect(await refusal(early.start("x", ["true"]))).toBe("Unavailable");
    await harness.open(3);
    await early.write("entrypoint", 0, "typed\n");
    for (let round = 0; round < 2; round += 1) {
      const stop = new AbortController();
      for await (const told of callServerStream(control, control.watchInstances, {}, { signal: stop.signal })) {
        if (told.instanceId !== instanceId || told.event?.$case === "activity") continue;
        expect(told.event).toEqual({ $case: "entrypointEnded", value: { reason: EndReason.EXITED, exitCode: 5 } });
        break;
      }
      stop.abort();
    }
    await early.start("left", ["sleep", "100"]);
    await harness.detach(3);
    await harness.detach(3);
    expect(await early.text("entrypoint")).toBe("started\ntyped\n");
    expect(await early.wait("left")).toEqual({ reason: EndReason.TERMINATED, exitCode: 137 });
    expect(await refusal(early.start("y", ["true"]))).toBe("SandboxEnded");
    expect(await refusal(early.write("entrypoint", 6, "x"))).toBe("SandboxEnded");
    early.close();
  });
});

async function readNow(client: IoClient, execId: string): Promise<string> {
  const events = await Array.fromAsync(client.read(execId, { follow: false }), ({ event }) => event);
  return Buffer.concat(
    events.map((event) => (event?.$case === "chunk" ? event.value.data : Buffer.alloc(0))),
  ).toString();
}
