// Files through the gateway, with the real init and its tool: bytes, errors by code and field, repeats, back-pressure,
// and nothing left behind by whoever goes away.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileType } from "@sallyport/contracts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ChildGateway } from "./child-gateway.ts";
import type { IoClient } from "./harness.ts";
import { eventually, Harness, MIB, refusal } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { descendantsOf, startRealInit } from "./real-init.ts";

let harness: Harness;
let init: RealInit;
let io: IoClient;
let root: string;

beforeAll(async () => {
  harness = await Harness.start();
  init = await startRealInit();
  io = await harness.ready({ number: 1, ...init });
  root = mkdtempSync(join(tmpdir(), "sallyport-files-"));
});
afterAll(async () => {
  io.close();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
});
const at = (...names: string[]) => join(folder, ...names);

async function noTools(): Promise<void> {
  await eventually("the end of every tool", () => descendantsOf(init.pid).length === 0, 15_000);
}

describe("a file", () => {
  it("is written, read, and read in part", async () => {
    expect(await io.writeFile(at("a"), "hello")).toBe(5);
    expect(readFileSync(at("a"), "utf8")).toBe("hello");
    expect(statSync(at("a")).mode & 0o777).toBe(0o644);
    expect((await io.fileBytes(at("a"))).toString()).toBe("hello");
    expect((await io.fileBytes(at("a"), { offset: 1, length: 3 })).toString()).toBe("ell");
    expect((await io.fileBytes(at("a"), { offset: 99 })).toString()).toBe("");
    expect((await io.fileBytes("/proc/version")).toString()).toMatch(/^Linux/);
    expect(readdirSync(folder)).toEqual(["a"]);
  });

  it("that is empty is a file too", async () => {
    expect(await io.writeFile(at("empty"), "")).toBe(0);
    expect(statSync(at("empty")).size).toBe(0);
    expect(await io.fileBytes(at("empty"))).toHaveLength(0);
  });

  it("that is replaced keeps its mode, and a link stays one", async () => {
    writeFileSync(at("script"), "old");
    chmodSync(at("script"), 0o750);
    symlinkSync("script", at("link"));
    await io.writeFile(at("link"), "new", { mode: 0o600 });
    expect(readFileSync(at("script"), "utf8")).toBe("new");
    expect(statSync(at("script")).mode & 0o777).toBe(0o750);
    expect((await io.stat(at("link")))?.type).toBe(FileType.SYMLINK);
    await io.writeFile(at("new"), "x", { mode: 0o4711 });
    expect(statSync(at("new")).mode & 0o7777).toBe(0o4711);
  });

  it("of many pieces arrives whole, though some are repeated and some come early", async () => {
    const bytes = randomBytes(1_000_000);
    const writeId = randomUUID();
    const piece = (from: number, to: number, end = false) =>
      io.writeFile(at("big"), bytes.subarray(from, to), { writeId, offset: from, end });
    expect(await piece(0, 100_000)).toBe(100_000);
    const early = piece(350_000, 600_000);
    expect(await piece(0, 100_000)).toBe(100_000);
    expect(await piece(50_000, 300_000)).toBe(300_000);
    expect(await piece(300_000, 350_000)).toBe(350_000);
    expect(await early).toBe(600_000);
    expect(await piece(600_000, 800_000)).toBe(800_000);
    expect(existsSync(at("big"))).toBe(false);
    expect(await piece(800_000, 1_000_000, true)).toBe(1_000_000);
    expect(readFileSync(at("big")).equals(bytes)).toBe(true);
    // The answer to the last piece may be lost.
    expect(await piece(800_000, 1_000_000, true)).toBe(1_000_000);
    expect(await refusal(piece(0, 200_000, true))).toBe("InvalidArgument offset");
    expect(await refusal(io.writeFile(at("other"), "x", { writeId }))).toBe("InvalidArgument write_id");
    expect(readdirSync(folder)).toEqual(["big"]);
  });

  it("of 64 MiB comes in pieces within the bounds, and equals", async () => {
    execFileSync("dd", ["if=/dev/urandom", `of=${at("huge")}`, "bs=1M", "count=64"], { stdio: "ignore" });
    const hash = createHash("sha256");
    let largest = 0;
    const startedAt = performance.now();
    for await (const { event } of io.readFile(at("huge"))) {
      if (event?.$case !== "data") continue;
      hash.update(event.value);
      largest = Math.max(largest, event.value.length);
    }
    console.log(`read: ${(67.1 / ((performance.now() - startedAt) / 1_000)).toFixed(0)} MB/s`);
    expect(hash.digest("hex")).toBe(
      createHash("sha256")
        .update(readFileSync(at("huge")))
        .digest("hex"),
    );
    expect(largest).toBeLessThanOrEqual(256 * 1024);
  });

  it("that nobody goes on reading holds the tool back, and lets it go in the end", async () => {
    writeFileSync(at("wide"), "");
    truncateSync(at("wide"), 4 * 1024 * MIB);
    const stop = new AbortController();
    const reading = io.readFile(at("wide"), {}, stop.signal)[Symbol.asyncIterator]();
    for (let n = 0; n < 4; n += 1) await reading.next();
    const [tool] = descendantsOf(init.pid);
    const readSoFar = () => Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${tool}/io`, "utf8"))?.[1]);
    await eventually("the tool's block", async () => {
      const before = readSoFar();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return readSoFar() === before;
    });
    expect(readSoFar()).toBeLessThan(16 * MIB);
    stop.abort();
    await noTools();
  });

  it("whose upload is broken off by the gateway's end never replaces another, and leaves nothing", async () => {
    await using gateway = await ChildGateway.start();
    writeFileSync(at("kept"), "kept");
    const piece = (offset: number) =>
      gateway.io.writeFile(at("kept"), "half", { writeId: "upload", offset, end: false });
    await piece(0);
    await eventually("the temporary file", () => readdirSync(folder).length === 2);
    await gateway.restart();
    await eventually("the temporary file's end", () => readdirSync(folder).length === 1);
    expect(readFileSync(at("kept"), "utf8")).toBe("kept");
    expect(await refusal(piece(4))).toBe("NotFound write_id");
    expect(await gateway.io.execs()).toMatchObject([{ execId: "ready" }]);
  });

  it("can be written with many others, a bounded number at the same time", async () => {
    await using other = await startRealInit();
    const io = await harness.ready({ number: 2, ...other });
    const names = Array.from({ length: 60 }, (_, n) => `f${n}`);
    for (let n = 0; n < names.length; n += 15) {
      await Promise.all(names.slice(n, n + 15).map((name) => io.writeFile(at(name), name)));
    }
    expect(readdirSync(folder)).toHaveLength(60);
    const open = Array.from({ length: 36 }, (_, n) => refusal(io.writeFile(at(`open${n}`), "x", { end: false })));
    const refusals = await Promise.all(open);
    expect(refusals.filter((text) => text === "ResourceExhausted")).toHaveLength(4);
    const reads = await Promise.all(names.map((_, n) => refusal(io.fileBytes(`/proc/self/limits`, { offset: n }))));
    expect(reads.every((text) => text === "no refusal")).toBe(true);
    await harness.detach(2);
    io.close();
  });
});

describe("a directory", () => {
  it("is made, listed and removed", async () => {
    await io.mkdir(at("a"));
    await io.mkdir(at("a", "b", "c"), true);
    await io.mkdir(at("a", "b", "c"), true);
    writeFileSync(at("a", "file"), "12345");
    symlinkSync("file", at("a", "link"));
    expect(await io.list(at("a"))).toMatchObject([
      { path: at("a", "b"), type: FileType.DIRECTORY },
      { path: at("a", "file"), type: FileType.FILE, size: 5, mode: 0o644 },
      { path: at("a", "link"), type: FileType.SYMLINK },
    ]);
    expect((await io.list("/")).map(({ path }) => path)).toContain("/proc");
    await io.remove(at("a"), true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("of many entries comes in messages within the bounds", async () => {
    for (let n = 0; n < 3_000; n += 1) writeFileSync(at(`${"long-name-".repeat(10)}${String(n).padStart(5, "0")}`), "");
    const files = await io.list(folder);
    expect(files).toHaveLength(3_000);
    expect(files[1_234]?.path).toMatch(/01234$/);
  });
});

describe("what is refused", () => {
  it("has a code, and the path as its field", async () => {
    writeFileSync(at("file"), "");
    symlinkSync("loop", at("loop"));
    execFileSync("mkfifo", [at("fifo")]);
    const cases: [string, Promise<unknown>][] = [
      ["NotFound path", io.fileBytes(at("none"))],
      ["NotFound path", io.stat(at("none"))],
      ["NotFound path", io.list(at("none"))],
      ["NotFound path", io.remove(at("none"))],
      ["NotFound path", io.writeFile(at("none", "x"), "x")],
      ["NotFound path", io.mkdir(at("none", "x"))],
      ["AlreadyExists path", io.mkdir(folder)],
      ["FailedPrecondition path", io.fileBytes(folder)],
      ["FailedPrecondition path", io.fileBytes(at("fifo"))],
      ["FailedPrecondition path", io.fileBytes("/dev/zero")],
      ["FailedPrecondition path", io.writeFile(folder, "x")],
      ["FailedPrecondition path", io.writeFile(at("fifo"), "x")],
      ["FailedPrecondition path", io.list(at("file"))],
      ["FailedPrecondition path", io.stat(at("file", "below"))],
      ["FailedPrecondition path", io.remove(folder)],
      ["InvalidArgument path", io.fileBytes(at("loop"))],
      ["InvalidArgument path", io.fileBytes(at("n".repeat(256)))],
      ["InvalidArgument path", io.remove("/")],
      ["InvalidArgument path", io.stat("")],
      ["InvalidArgument path", io.stat("relative")],
      ["InvalidArgument path", io.stat("/nul\0")],
      ["InvalidArgument path", io.stat(`/${"n".repeat(4_095)}`)],
      ["InvalidArgument offset", io.fileBytes(at("file"), { offset: -1 })],
      ["InvalidArgument length", io.fileBytes(at("file"), { length: -1 })],
      ["InvalidArgument write_id", io.writeFile(at("file"), "x", { writeId: "a/b" })],
      ["InvalidArgument mode", io.writeFile(at("file"), "x", { mode: 0o10000 })],
      ["InvalidArgument data", io.writeFile(at("file"), Buffer.alloc(256 * 1024 + 1))],
      ["NotFound write_id", io.writeFile(at("file"), "x", { offset: 5 })],
      ["InvalidArgument exec_id", io.start("__mine", ["true"])],
    ];
    const answers = await Promise.all(cases.map(([, call]) => refusal(call)));
    expect(answers).toEqual(cases.map(([expected]) => expected));
  });
});

it("lists the tenant's processes, and none of the platform's", async () => {
  await io.start("listed", ["sh", "-c", `exit 3 # ${"x".repeat(2_000)}`]);
  await io.wait("listed");
  await io.stat("/");
  const execs = await io.execs();
  expect(execs.map(({ execId }) => execId)).toEqual(["listed"]);
  expect(execs[0]).toMatchObject({ outcome: { exitCode: 3 }, pty: false });
  expect(execs[0]?.command?.argv.slice(0, 2)).toEqual(["sh", "-c"]);
  expect(JSON.stringify(execs[0]?.command?.argv).length).toBeLessThan(600);
  expect(execs[0]?.endedAt?.getTime()).toBeGreaterThanOrEqual(execs[0]?.startedAt?.getTime() ?? Infinity);
});
