// Files through a platform that fails: lost answers, broken streams, lost uploads; and the local end of transfers.
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, SallyportError, Sandbox } from "./index.ts";

const bytes = randomBytes(1_500_000);
let platform: FakePlatform;
let client: Client;
let sandbox: Sandbox;
let folder: string;

beforeEach(async () => {
  platform = await FakePlatform.start();
  client = new Client({ url: platform.apiUrl, token: platform.token });
  sandbox = await Sandbox.create({ client });
  folder = await mkdtemp(join(tmpdir(), "sallyport-sdk-"));
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function remote(path: string): { readonly data: Buffer; readonly mode: number } | undefined {
  return platform.sandboxes.get(sandbox.id)?.fs.files.get(path);
}

function put(path: string, data: Buffer): void {
  platform.sandboxes.get(sandbox.id)?.fs.set(path, data);
}

async function failure(promise: Promise<unknown>): Promise<SallyportError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!SallyportError.is(error)) throw new Error("no SallyportError was thrown", { cause: error });
  return error;
}

function streamOf(data: Buffer, chunkBytes: number): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < data.length; at += chunkBytes) controller.enqueue(data.subarray(at, at + chunkBytes));
      controller.close();
    },
  });
}

describe("reading", () => {
  it("goes on where a broken stream ended", async () => {
    put("/file", bytes);
    platform.endReadsAfter = 5;
    expect(bytes.equals(await sandbox.fs.read("/file"))).toBe(true);
    expect(platform.calls.filter((call) => call === "readFile").length).toBeGreaterThan(3);
  });

  it("of a file that changes meanwhile is refused once a break would mix the two", async () => {
    put("/file", bytes);
    platform.endReadsAfter = 3;
    const reader = (await sandbox.fs.readStream("/file")).getReader();
    await reader.read();
    put("/file", bytes.subarray(1));
    const rest = async () => {
      for (;;) if ((await reader.read()).done) return;
    };
    expect(await failure(rest())).toMatchObject({ code: "FailedPrecondition", field: "path" });
  });

  it("fetches nothing for a stream that is cancelled, and rejects for a file that is not there", async () => {
    put("/file", bytes);
    const stream = await sandbox.fs.readStream("/file");
    await stream.cancel();
    expect(await failure(sandbox.fs.readStream("/none"))).toMatchObject({ code: "NotFound", field: "path" });
    const deadline = Date.now() + 5_000;
    while (platform.openCalls > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(platform.openCalls).toBe(0);
  });

  it("decodes text as UTF-8", async () => {
    put("/text", Buffer.from("\ufeffgrüße"));
    expect(await sandbox.fs.readText("/text")).toBe("\ufeffgrüße");
  });
});

describe("writing", () => {
  it.each([
    ["text", "grüße"],
    ["nothing", ""],
    ["bytes", new Uint8Array(bytes)],
    ["a whole number of pieces", new Uint8Array(bytes.subarray(0, 2 * 256 * 1024))],
  ])("%s arrives whole, answers lost or not", async (_what, data) => {
    platform.fail(
      "writeFile",
      { code: "Unavailable", after: true, retryAfterMs: 1 },
      { code: "Unavailable", retryAfterMs: 1 },
    );
    await sandbox.fs.write("/file", data, { mode: 0o600 });
    expect(remote("/file")?.data.equals(typeof data === "string" ? Buffer.from(data) : data)).toBe(true);
    expect(remote("/file")?.mode).toBe(0o600);
  });

  it("of a stream goes in pieces whatever its chunks are", async () => {
    await sandbox.fs.write("/file", streamOf(bytes, 10_007));
    expect(remote("/file")?.data.equals(bytes)).toBe(true);
    expect(platform.calls.filter((call) => call === "writeFile").length).toBeGreaterThanOrEqual(6);
  });

  it("begins again when the platform lost it, if the source can be read again", async () => {
    const lost = { code: "NotFound", field: "write_id" } as const;
    platform.fail("writeFile", lost);
    await sandbox.fs.write("/file", bytes);
    expect(remote("/file")?.data.equals(bytes)).toBe(true);
    platform.fail("writeFile", lost);
    expect(await failure(sandbox.fs.write("/stream", streamOf(bytes, 100_000)))).toMatchObject({ code: "Unavailable" });
    expect(remote("/stream")).toBeUndefined();
  });

  it("fails with what its stream fails with, and lets it go when it is refused", async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("the source broke"));
      },
    });
    await expect(sandbox.fs.write("/file", broken)).rejects.toThrow("the source broke");
    const cancelled = Promise.withResolvers<void>();
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
      cancel: () => cancelled.resolve(),
    });
    platform.fail("writeFile", { code: "ResourceExhausted", field: "path" });
    expect(await failure(sandbox.fs.write("/file", endless))).toMatchObject({
      code: "ResourceExhausted",
      field: "path",
    });
    await cancelled.promise;
  });

  it("ends with its signal and its deadline, though the source is silent", async () => {
    const silent = () => new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
    const stop = new AbortController();
    const writing = failure(sandbox.fs.write("/file", silent(), { signal: stop.signal }));
    stop.abort();
    expect(await writing).toMatchObject({ code: "Cancelled" });
    expect(await failure(sandbox.fs.write("/file", silent(), { timeoutMs: 20 }))).toMatchObject({
      code: "DeadlineExceeded",
    });
  });
});

describe("removing", () => {
  it("that was done by an attempt whose answer was lost is done", async () => {
    put("/file", bytes);
    platform.fail("removeFile", { code: "Unavailable", after: true, retryAfterMs: 1 });
    await sandbox.fs.remove("/file");
    expect(await failure(sandbox.fs.remove("/file"))).toMatchObject({ code: "NotFound", field: "path" });
  });
});

describe("transfers", () => {
  it("carry a file up and down, with progress and permission bits", async () => {
    const local = join(folder, "up");
    await writeFile(local, bytes, { mode: 0o750 });
    const progress: number[] = [];
    await sandbox.fs.upload(local, "/file", { onProgress: (sent) => progress.push(sent) });
    expect(remote("/file")?.mode).toBe(0o750);
    platform.endReadsAfter = 7;
    await sandbox.fs.download("/file", join(folder, "down"), { onProgress: (sent) => progress.push(sent) });
    expect(bytes.equals(await readFile(join(folder, "down")))).toBe(true);
    expect(progress.filter((sent) => sent === bytes.length)).toHaveLength(2);
  });

  it("leave nothing behind when they fail, and name the local path when it is at fault", async () => {
    put("/file", bytes);
    const target = join(folder, "down");
    await writeFile(target, "old");
    const stop = new AbortController();
    const options = { signal: stop.signal, onProgress: () => stop.abort() };
    expect(await failure(sandbox.fs.download("/file", target, options))).toMatchObject({ code: "Cancelled" });
    expect(await readdir(folder)).toEqual(["down"]);
    expect(await readFile(target, "utf8")).toBe("old");
    const local = { code: "InvalidArgument", field: "local" };
    expect(await failure(sandbox.fs.download("/file", join(folder, "none", "x")))).toMatchObject(local);
    expect(await failure(sandbox.fs.upload(join(folder, "none"), "/x"))).toMatchObject(local);
    expect(await failure(sandbox.fs.upload(folder, "/x"))).toMatchObject(local);
    await expect(stat(join(folder, "none"))).rejects.toThrow("ENOENT");
  });
});
