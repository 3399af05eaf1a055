// Streams against the real protos on real sockets: offsets, gaps, outages, back-pressure, tokens.
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, Sandbox } from "./index.ts";

let platform: FakePlatform;
let client: Client;
let sandbox: Sandbox;

beforeEach(async () => {
  platform = await FakePlatform.start();
  client = new Client({ url: platform.apiUrl, token: platform.token });
  sandbox = await Sandbox.create({ client });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
});

function callsOf(method: string): number {
  return platform.calls.filter((call) => call === method).length;
}

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index}\n`).join("");
}

describe("output", () => {
  it("goes on without loss or repetition while the gateway is killed again and again", async () => {
    const process = await sandbox.exec(["count", "1500", "2"]);
    const reading = process.stdout.text();
    const waiting = process.wait();
    for (let round = 1; round <= 3; round += 1) {
      await expect.poll(() => callsOf("readOutput")).toBeGreaterThanOrEqual(round);
      platform.killGateway();
      await platform.startGateway();
    }
    expect(await reading).toBe(numbers(1_500));
    expect(await waiting).toEqual({ exitCode: 0, reason: "exited" });
    expect(callsOf("readOutput")).toBeGreaterThan(3);
  });

  it("goes on where a run in one call was cut, again and again", async () => {
    const running = sandbox.run(["count", "1500", "2"]);
    for (let round = 1; round <= 3; round += 1) {
      await expect.poll(() => callsOf("runExec")).toBeGreaterThanOrEqual(round);
      platform.killGateway();
      await platform.startGateway();
    }
    expect(await running).toEqual({ exitCode: 0, reason: "exited", stdout: numbers(1_500), stderr: "" });
    expect(callsOf("runExec")).toBeGreaterThan(3);
    expect(callsOf("startExec")).toBe(0);
  });

  it("resumes where an answer of the gateway broke it off", async () => {
    platform.fail("readOutput", { code: "Unavailable" }, { code: "Unavailable" }, { code: "Unauthenticated" });
    const process = await sandbox.exec(["echo", "through"]);
    expect(await process.stdout.text()).toBe("through\n");
  });

  it("splits lines, whatever the chunks", async () => {
    const text = "eins\r\nzwölf 🐎\n\nrest";
    const process = await sandbox.exec(["bytes", Buffer.from(text).toString("hex"), "1"]);
    expect(await Array.fromAsync(process.stdout.lines())).toEqual(["eins", "zwölf 🐎", "", "rest"]);
    expect(await Array.fromAsync(process.stderr.lines())).toEqual([]);
    const left = await sandbox.exec(["count", "100000", "1"]);
    for await (const line of left.stdout.lines()) if (line === "3") break;
    await left.kill();
    expect(await left.wait()).toEqual({ exitCode: 143, reason: "signalled", signal: "SIGTERM" });
  });

  it("keeps a byte-order mark and replaces what is no UTF-8", async () => {
    const process = await sandbox.exec(["bytes", "efbbbf61ff", "1"]);
    expect(await process.stdout.text()).toBe("\ufeffa\ufffd");
  });

  it("never skips lost bytes in silence", async () => {
    const process = await sandbox.exec(["forgot"]);
    const error = await process.stdout.text().then(undefined, (thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "FailedPrecondition" });
    expect(String(error)).toContain("stdout.from(4)");
    expect(await process.stdout.from(4).text()).toBe("456789");
    const gaps: object[] = [];
    expect(await process.stdout.from(0, { onGap: (gap) => gaps.push(gap) }).text()).toBe("456789");
    expect(gaps).toEqual([{ from: 0, to: 4 }]);
  });

  it("can be read again", async () => {
    const process = await sandbox.exec(["echo", "twice"]);
    expect(await process.stdout.text()).toBe("twice\n");
    expect(await process.stdout.from(0).text()).toBe("twice\n");
  });

  it("left unread, stalls no other, and is fetched as it is read", async () => {
    const size = 8 * 1024 * 1024;
    const slow = await sandbox.exec(["flood", String(size)]);
    const reader = slow.stdout.getReader();
    const first = await reader.read();
    // The slow one is now stalled by flow control, on the same connection.
    const other = await sandbox.run(["flood", "1000000"]);
    expect(other.stdout).toHaveLength(1_000_000);
    let total = first.value?.length ?? 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      expect(next.value[0]).toBe(total % 251);
      total += next.value.length;
    }
    expect(total).toBe(size);
  });

  it("fetches nothing before it is read", async () => {
    const process = await sandbox.exec(["echo", "x"]);
    await process.wait();
    expect(platform.calls).not.toContain("readOutput");
  });
});

describe("input", () => {
  it("arrives once and in order though answers are lost", async () => {
    const process = await sandbox.exec(["cat"]);
    platform.fail("writeInput", { code: "Unavailable", after: true }, { code: "Unavailable" });
    await Promise.all([process.stdin.send("one "), process.stdin.send("two "), process.stdin.send("three")]);
    platform.killGateway();
    const ended = process.stdin.end();
    await platform.startGateway();
    await ended;
    await process.stdin.end();
    expect(await process.stdout.text()).toBe("one two three");
    await expect(process.stdin.send("late")).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("is a web stream, cut to what a message holds", async () => {
    const process = await sandbox.exec(["cat"]);
    const data = Buffer.alloc(700_000, 7);
    await ReadableStream.from([data]).pipeTo(process.stdin);
    expect(Buffer.from(await process.stdout.text())).toEqual(data);
    expect(callsOf("writeInput")).toBe(4);
  });

  it("was taken when the process ends over it, and is not taken after", async () => {
    const process = await sandbox.exec(["head"]);
    await process.stdin.send("the last line\n");
    expect(await process.stdout.text()).toBe("the last line\n");
    await expect(process.stdin.send("late")).rejects.toMatchObject({ code: "FailedPrecondition" });
    await process.stdin.end();
  });

  it("tells of a write that was taken in part", async () => {
    const process = await sandbox.exec(["head"]);
    await expect(process.stdin.send(Buffer.alloc(700_000))).rejects.toMatchObject({ code: "FailedPrecondition" });
  });

  it("tells when nobody reads any more, and has one source", async () => {
    const process = await sandbox.exec(["echo", "done"]);
    await expect(process.stdin.send("x")).rejects.toMatchObject({ code: "FailedPrecondition" });
    const fed = await sandbox.exec(["cat"], { stdin: "x" });
    await expect(fed.stdin.send("y")).rejects.toMatchObject({ code: "FailedPrecondition" });
    expect(await fed.wait()).toMatchObject({ exitCode: 0 });
  });

  it("reaches the sandbox's own command", async () => {
    await using cat = await Sandbox.create(["cat"], { client });
    await cat.stdin.send("hello");
    await cat.stdin.end();
    expect(await cat.stdout.text()).toBe("hello");
    expect(await cat.wait()).toEqual({ exitCode: 0, reason: "exited" });
  });
});

describe("access", () => {
  it("is renewed before it ends and when it is refused", async () => {
    expect((await sandbox.run(["echo"])).exitCode).toBe(0);
    expect(platform.calls).not.toContain("getIoAccess");
    platform.revokeIoTokens();
    expect((await sandbox.run(["echo"])).exitCode).toBe(0);
    platform.ioTokenMs = 1_000;
    const short = await Sandbox.create({ client });
    const before = callsOf("getIoAccess");
    expect((await short.run(["echo"])).exitCode).toBe(0);
    expect(callsOf("getIoAccess")).toBeGreaterThan(before);
  });

  it("is given up when the gateway refuses every token", async () => {
    platform.fail("startExec", ...Array.from({ length: 9 }, () => ({ code: "Unauthenticated" as const })));
    await expect(sandbox.exec(["echo"])).rejects.toMatchObject({ code: "Unauthenticated" });
    expect(callsOf("startExec")).toBe(3);
  });
});

describe("signals", () => {
  it("are sent at most once, SIGKILL until it is heard", async () => {
    const process = await sandbox.exec(["sleep"]);
    platform.fail("signalExec", { code: "Unavailable", after: true });
    await expect(process.kill("SIGUSR1")).rejects.toMatchObject({ code: "Unavailable" });
    platform.fail("signalExec", { code: "Unavailable" });
    await process.kill("SIGKILL");
    expect(await process.poll()).toMatchObject({ signal: "SIGKILL" });
    const [held] = platform.sandboxes.get(sandbox.id)?.processes.values() ?? [];
    expect(held?.signals).toEqual(["SIGUSR1", "SIGKILL"]);
  });

  it("and sizes reach the process", async () => {
    const process = await sandbox.exec(["sleep"], { pty: true });
    await process.resize({ columns: 132, rows: 43 });
    const [held] = platform.sandboxes.get(sandbox.id)?.processes.values() ?? [];
    expect(held?.sizes).toEqual([{ columns: 132, rows: 43 }]);
    await process.kill();
  });
});
