// Files of a sandbox under gVisor, through the SDK: bytes both ways, errors by code and field, links, special files.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SallyportError } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const MIB = 1024 * 1024;

let sandbox: Sandbox;
let folder: string;
beforeAll(async () => {
  const { client } = await newWorkspace("files");
  sandbox = await Sandbox.create({ client });
  folder = await mkdtemp(join(tmpdir(), "sallyport-e2e-files-"));
});
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function sh(script: string): Promise<string> {
  return (await sandbox.run(["sh", "-c", script], { check: true })).stdout.trim();
}

async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown as SallyportError,
  );
  return error === undefined ? "no refusal" : `${error.code} ${error.field ?? ""}`.trim();
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("a file", () => {
  it("of 50 MB goes up and comes down unchanged, with progress", async () => {
    const bytes = randomBytes(50_000_000);
    const local = join(folder, "up");
    await writeFile(local, bytes, { mode: 0o750 });
    const progress: number[] = [];
    const upAtMs = performance.now();
    await sandbox.fs.upload(local, "/root/big", { onProgress: (sent) => progress.push(sent) });
    const downAtMs = performance.now();
    expect(await sh("sha256sum < /root/big | cut -d' ' -f1")).toBe(sha256(bytes));
    expect(progress.at(-1)).toBe(bytes.length);
    expect(await sandbox.fs.stat("/root/big")).toMatchObject({ type: "file", size: bytes.length, mode: 0o750 });
    const startedAtMs = performance.now();
    await sandbox.fs.download("/root/big", join(folder, "down"));
    const seconds = [downAtMs - upAtMs, performance.now() - startedAtMs].map((ms) => ms / 1_000);
    console.log(`MB/s up and down: ${seconds.map((s) => (50 / s).toFixed(0)).join(", ")}`);
    expect(sha256(await readFile(join(folder, "down")))).toBe(sha256(bytes));
    expect((await readdir(folder)).toSorted()).toEqual(["down", "up"]);
  });

  it("is written from text, bytes and streams, and read as each of them", async () => {
    const { fs } = sandbox;
    await fs.write("/root/text", "grüße\n");
    expect(await fs.readText("/root/text")).toBe("grüße\n");
    expect(await sh("cat /root/text")).toBe("grüße");
    await fs.write("/root/empty", new Uint8Array());
    expect(await fs.read("/root/empty")).toHaveLength(0);
    const bytes = randomBytes(1_000_000);
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 33_333) controller.enqueue(bytes.subarray(at, at + 33_333));
        controller.close();
      },
    });
    await fs.write("/root/stream", source, { mode: 0o600 });
    const hash = createHash("sha256");
    for await (const chunk of await fs.readStream("/root/stream")) hash.update(chunk);
    expect(hash.digest("hex")).toBe(sha256(bytes));
    expect((await fs.stat("/root/stream")).mode).toBe(0o600);
  });

  it("takes the place of another whole, with its mode, and through a link", async () => {
    await sh("mkdir -p /root/swap && cd /root/swap && echo old > file && chmod 755 file && ln -s file link");
    await sandbox.fs.write("/root/swap/link", "new");
    const seen = await sh("cd /root/swap && cat file && stat -c ' %a' file && readlink link && ls | wc -l");
    expect(seen).toBe("new 755\nfile\n2");
  });

  it("is read from /proc, where sizes say nothing, and by a path with ..", async () => {
    expect(await sandbox.fs.readText("/proc/self/status")).toMatch(/^Name:/);
    expect(await sandbox.fs.readText("/usr/../etc/./hostname")).toBe(await sandbox.fs.readText("/etc/hostname"));
  });
});

describe("a directory", () => {
  it("is made, listed and removed", async () => {
    const { fs } = sandbox;
    await fs.mkdir("/srv/a/b/c", { recursive: true });
    await fs.mkdir("/srv/a/b/c", { recursive: true });
    await fs.write("/srv/a/file", "12345");
    await sh("cd /srv/a && ln -s /etc link && mkfifo pipe && chmod 700 b");
    expect((await fs.list("/srv/a")).map(({ mode, path, type }) => [path, type, mode & 0o700])).toEqual([
      ["/srv/a/b", "directory", 0o700],
      ["/srv/a/file", "file", 0o600],
      ["/srv/a/link", "symlink", 0o700],
      ["/srv/a/pipe", "other", 0o600],
    ]);
    expect(await refusal(fs.remove("/srv/a"))).toBe("FailedPrecondition path");
    await fs.remove("/srv/a", { recursive: true });
    expect(await refusal(fs.stat("/srv/a"))).toBe("NotFound path");
    expect((await fs.list("/etc")).length).toBeGreaterThan(3);
  });

  it("with thousands of entries and deep below is listed and removed", async () => {
    await sh("mkdir /srv/wide && cd /srv/wide && seq -f 'entry-%05.0f' 1 2000 | xargs touch");
    const files = await sandbox.fs.list("/srv/wide");
    expect(files).toHaveLength(2_000);
    expect(files[1_999]?.path).toBe("/srv/wide/entry-02000");
    await sh("cd /srv/wide && for i in $(seq 150); do mkdir d && cd d; done");
    await sandbox.fs.remove("/srv/wide", { recursive: true });
    expect(await refusal(sandbox.fs.stat("/srv/wide"))).toBe("NotFound path");
  });
});

it("refuses with a code, and the field at fault", async () => {
  const { fs } = sandbox;
  await sh("mkdir -p /srv/r && cd /srv/r && ln -sf loop loop && rm -f fifo && mkfifo fifo && echo x > file");
  const cases: [string, Promise<unknown>][] = [
    ["NotFound path", fs.read("/srv/none")],
    ["NotFound path", fs.write("/srv/none/x", "x")],
    ["NotFound path", fs.mkdir("/srv/none/x")],
    ["AlreadyExists path", fs.mkdir("/srv/r")],
    ["FailedPrecondition path", fs.read("/srv/r")],
    ["FailedPrecondition path", fs.read("/srv/r/fifo")],
    ["FailedPrecondition path", fs.read("/dev/zero")],
    ["FailedPrecondition path", fs.write("/srv/r/fifo", "x")],
    ["FailedPrecondition path", fs.write("/srv/r", "x")],
    ["FailedPrecondition path", fs.list("/srv/r/file")],
    ["FailedPrecondition path", fs.stat("/srv/r/file/x")],
    ["InvalidArgument path", fs.read("/srv/r/loop")],
    ["InvalidArgument path", fs.write("/srv/r/loop", "x")],
    ["InvalidArgument path", fs.read("relative")],
    ["InvalidArgument path", fs.remove("/", { recursive: true })],
    ["InvalidArgument path", fs.stat(`/srv/${"n".repeat(300)}`)],
    ["InvalidArgument local", fs.upload(join(folder, "none"), "/srv/x")],
    ["InvalidArgument local", fs.download("/etc/hostname", join(folder, "none", "x"))],
  ];
  expect(await Promise.all(cases.map(([, call]) => refusal(call)))).toEqual(cases.map(([expected]) => expected));
  expect(["PermissionDenied path", "FailedPrecondition path"]).toContain(
    await refusal(fs.write("/.sallyport/init", "x")),
  );
  expect(await refusal(fs.read("/etc/hostname", { signal: AbortSignal.abort() }))).toBe("Cancelled");
});

it("leaves nothing of a transfer that is given up", async () => {
  const stop = new AbortController();
  await sh("mkdir -p /srv/half");
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(randomBytes(100_000));
      if (Math.random() < 0.2) stop.abort();
    },
  });
  expect(await refusal(sandbox.fs.write("/srv/half/file", endless, { signal: stop.signal }))).toBe("Cancelled");
  expect(await refusal(sandbox.fs.stat("/srv/half/file"))).toBe("NotFound path");
  await sh("truncate -s 3G /srv/half/sparse");
  const cut = new AbortController();
  const target = join(folder, "cut");
  const onProgress = (bytes: number) => {
    if (bytes > 5 * MIB) cut.abort();
  };
  expect(await refusal(sandbox.fs.download("/srv/half/sparse", target, { signal: cut.signal, onProgress }))).toBe(
    "Cancelled",
  );
  await expect(stat(target)).rejects.toMatchObject({ code: "ENOENT" });
  expect((await readdir(folder)).filter((name) => name.startsWith("cut"))).toEqual([]);
});

it("carries 100 MB of stdout whole", { timeout: 120_000 }, async () => {
  const bytes = 100_000_000;
  const startedAtMs = performance.now();
  const flood = `seq -f '%015.0f' 1 ${bytes / 16}`;
  const process = await sandbox.exec(["sh", "-c", flood]);
  const hash = createHash("sha256");
  let total = 0;
  for await (const chunk of process.stdout) {
    hash.update(chunk);
    total += chunk.length;
  }
  console.log(`MB/s of stdout: ${(total / 1e6 / ((performance.now() - startedAtMs) / 1_000)).toFixed(0)}`);
  expect(total).toBe(bytes);
  expect(`${hash.digest("hex")}  -`).toBe(await sh(`${flood} | sha256sum`));
});
