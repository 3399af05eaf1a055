// A real sandbox through the runtime: made, limited, ended, and nothing left of it.
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  compileStatic,
  eventually,
  findImage,
  findRunsc,
  freshUlid,
  HIDE_HELPER,
  makeNamespace,
  makeStateDirectory,
  removeDirectory,
  tracesOf,
} from "../../../test/machine.ts";
import { run, start as startProcess } from "../../system/command.ts";
import type { EtcFiles, PrepareSandboxOptions, SandboxRuntime } from "../runtime.ts";
import { openRunscRuntime } from "./runsc-runtime.ts";

const LIMITS = { cpuMillis: 500, memoryMiB: 128, pids: 256 };
const cgroupPrefix = `sallyport-${freshUlid().slice(-8)}`;
const namespaceName = `sp-test-${process.pid}`;

let state: string;
let rootfs: string;
let runtime: SandboxRuntime;
let namespace: { readonly path: string } & AsyncDisposable;

beforeAll(async () => {
  state = await makeStateDirectory();
  ({ rootfs } = await findImage());
  const init = await compileStatic("fake-init.c", join(state, "fake-init"));
  await mkdir(join(state, "worker"));
  namespace = await makeNamespace(namespaceName);
  runtime = await openRunscRuntime({
    runsc: findRunsc(),
    conmon: "conmon",
    init,
    hide: HIDE_HELPER,
    stateDirectory: join(state, "worker"),
    cgroupPrefix,
  });
});

afterAll(async () => {
  for (const id of await runtime.known()) await runtime.destroy(id, { thorough: true });
  await runtime.teardown();
  await runtime[Symbol.asyncDispose]();
  await namespace[Symbol.asyncDispose]();
  await removeDirectory(state);
});

function sandbox(changes: Partial<PrepareSandboxOptions> = {}): PrepareSandboxOptions {
  return {
    containerId: `bx-${freshUlid()}`,
    rootfs,
    netnsPath: namespace.path,
    initSecret: randomBytes(32).toString("hex"),
    limits: LIMITS,
    ...changes,
  };
}

async function started(options: PrepareSandboxOptions) {
  await runtime.lay(options);
  const processes = await runtime.create(options.containerId);
  await runtime.start(options.containerId, processes);
  return processes;
}

function mode(word: string): EtcFiles {
  return { hosts: "127.0.0.1 localhost\n", hostname: `${word}\n`, resolvConf: "" };
}

async function expectNothingLeft(containerId: string): Promise<void> {
  expect(await tracesOf(containerId)).toEqual([]);
  expect(await runtime.known()).not.toContain(containerId);
  const files = await Promise.all(
    ["bundles", "runsc", "exits"].map((directory) => readdir(join(state, "worker", directory))),
  );
  expect(files.flat().filter((name) => name.includes(containerId))).toEqual([]);
}

describe("a sandbox of runsc", () => {
  it("starts, is limited, sees changed files, ends, and leaves nothing", async () => {
    const options = sandbox();
    const before = await listing(rootfs);
    const processes = await started(options);
    expect(processes.supervisor).toBeDefined();
    expect((await runtime.find(options.containerId))?.sandbox).toEqual(processes.sandbox);
    await runtime.setLimits(options.containerId, LIMITS);
    expect(await cgroupFile("memory", options.containerId, "memory.limit_in_bytes")).toBe(String(128 * 1024 * 1024));
    expect(await cgroupFile("pids", options.containerId, "pids.max")).toBe("256");
    expect(await cgroupFile("cpu", options.containerId, "cpu.cfs_quota_us")).toBe("50000");

    const end = runtime.waitEnd(options.containerId, processes, AbortSignal.timeout(20_000));
    await runtime.writeEtc(options.containerId, mode("exit"));
    expect(await end).toEqual({ exitCode: 3 });
    await runtime.destroy(options.containerId);
    await expectNothingLeft(options.containerId);
    await runtime.destroy(options.containerId); // again, with nothing there
    expect(await listing(rootfs)).toEqual(before);
  });

  it("is ended while it runs, and while it is frozen", async () => {
    for (const freeze of [false, true]) {
      const options = sandbox();
      const processes = await started(options);
      if (freeze) {
        const file = `/sys/fs/cgroup/freezer/${cgroupPrefix}/${options.containerId}/freezer.state`;
        await run(["sh", "-c", 'printf FROZEN > "$1"', "sh", file]);
      }
      const end = runtime.waitEnd(options.containerId, processes, AbortSignal.timeout(20_000));
      await runtime.destroy(options.containerId);
      await end;
      await expectNothingLeft(options.containerId);
    }
  });

  it("tells a death by memory and a death by tasks from others", async () => {
    const hungry = sandbox();
    const eating = await started(hungry);
    await runtime.setLimits(hungry.containerId, LIMITS);
    await runtime.writeEtc(hungry.containerId, mode("eat"));
    await runtime.waitEnd(hungry.containerId, eating, AbortSignal.timeout(40_000));
    expect((await runtime.counters(hungry.containerId)).oomKills).toBeGreaterThan(0);
    await runtime.destroy(hungry.containerId);
    await expectNothingLeft(hungry.containerId);

    // The limit of processes inside is what was wished at first: only below it does that of tasks come first.
    const roomy = { ...LIMITS, memoryMiB: 512, pids: 1_024 };
    const forking = sandbox({ limits: roomy });
    const breeding = await started(forking);
    await runtime.setLimits(forking.containerId, { ...roomy, pids: 256 });
    await runtime.writeEtc(forking.containerId, mode("fork"));
    await runtime.waitEnd(forking.containerId, breeding, AbortSignal.timeout(40_000));
    expect((await runtime.counters(forking.containerId)).pidsRefusals).toBeGreaterThan(0);
    await runtime.destroy(forking.containerId);
    await expectNothingLeft(forking.containerId);
  }, 90_000);

  it("is refused more processes than it may have, and lives on", async () => {
    const options = sandbox({ limits: { ...LIMITS, memoryMiB: 512 } });
    const processes = await started(options);
    const tasks = () => cgroupFile("pids", options.containerId, "pids.current").then(Number);
    await runtime.writeEtc(options.containerId, mode("fork"));
    await eventually("it forks", async () => ((await tasks()) > 100 ? true : undefined), 40_000);
    let last = 0;
    await eventually("it forks no more", async () => {
      const now = await tasks();
      const isStill = now === last;
      last = now;
      return isStill ? true : undefined;
    });
    expect((await runtime.find(options.containerId))?.sandbox).toEqual(processes.sandbox);
    expect((await runtime.counters(options.containerId)).pidsRefusals).toBe(0);
    await runtime.destroy(options.containerId);
    await expectNothingLeft(options.containerId);
  }, 90_000);

  it("writes no more than its disk holds, lives on, and gives back what it frees", async () => {
    const options = sandbox({ diskMiB: 64 });
    const processes = await started(options);
    // What the machine's disk holds is known once it is written there, which the kernel may put off for half a minute.
    const mib = async () => {
      await run(["sync"], { timeoutMs: 20_000 });
      return ((await runtime.diskUse(options.containerId))?.usedBytes ?? 0) / 1024 / 1024;
    };
    expect(await mib()).toBeLessThan(2);
    expect((await tracesOf(options.containerId)).filter((trace) => trace.startsWith("mount"))).toEqual([]);
    await runtime.writeEtc(options.containerId, mode("fill"));
    await eventually("full", async () => ((await mib()) > 61 ? true : undefined), 30_000);
    expect(await mib()).toBeLessThanOrEqual(64);
    await runtime.writeEtc(options.containerId, mode("idle"));
    await eventually("empty again", async () => ((await mib()) < 2 ? true : undefined), 30_000);
    expect((await runtime.find(options.containerId))?.sandbox).toEqual(processes.sandbox);
    await runtime.destroy(options.containerId);
    await expectNothingLeft(options.containerId);
  });

  it("is refused a disk that the machine has no room for", async () => {
    const options = sandbox({ diskMiB: 16 * 1024 * 1024 });
    await expect(runtime.lay(options)).rejects.toMatchObject({ code: "NoRoom" });
    await runtime.destroy(options.containerId);
    await expectNothingLeft(options.containerId);
  });

  it("is refused in the machine's own network namespace, by path and by process", async () => {
    for (const path of ["/proc/1/ns/net", "/proc/self/ns/net"]) {
      const options = sandbox({ netnsPath: path });
      await runtime.lay(options);
      await expect(runtime.create(options.containerId)).rejects.toMatchObject({ code: "RootNetwork" });
      await runtime.destroy(options.containerId);
      await expectNothingLeft(options.containerId);
    }

    const moved = sandbox();
    await runtime.lay(moved);
    const self = { pid: process.pid, startTicks: 0 };
    await expect(runtime.start(moved.containerId, { sandbox: self, supervisor: undefined })).rejects.toMatchObject({
      code: "RootNetwork",
    });
    await runtime.destroy(moved.containerId);
    await expectNothingLeft(moved.containerId);
  });

  it("is found gone when its supervisor was killed before it", async () => {
    const options = sandbox();
    const processes = await started(options);
    const supervisor = processes.supervisor;
    if (supervisor === undefined) throw new Error("no conmon");
    process.kill(supervisor.pid, "SIGKILL");
    const end = runtime.waitEnd(options.containerId, processes, AbortSignal.timeout(20_000));
    process.kill(processes.sandbox.pid, "SIGKILL");
    expect(await end).toEqual({ exitCode: undefined });
    await runtime.destroy(options.containerId);
    await expectNothingLeft(options.containerId);
  });

  it("leaves nothing when whoever creates it is killed at any moment of it", async () => {
    for (const delayMs of [5, 40, 90, 160]) {
      const options = sandbox();
      await runtime.lay(options);
      const creator = startProcess([process.execPath, "--conditions=@sallyport/source", "test/create-only.ts"], {
        cwd: new URL("../../..", import.meta.url).pathname,
        env: { STATE: join(state, "worker"), ID: options.containerId, RUNSC: findRunsc(), PREFIX: cgroupPrefix },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const closed = new Promise<void>((resolve) => creator.once("close", () => resolve())); // it may be done before the kill
      await new Promise<void>((resolve) => creator.stdout?.once("data", () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // how far the create has come is what varies
      creator.kill("SIGKILL");
      await closed;
      await runtime.destroy(options.containerId, { thorough: true });
      await eventually("every process is gone", async () =>
        (await tracesOf(options.containerId)).length === 0 ? true : undefined,
      );
      await expectNothingLeft(options.containerId);
    }
  });
});

async function cgroupFile(controller: string, containerId: string, file: string): Promise<string> {
  return (await readFile(`/sys/fs/cgroup/${controller}/${cgroupPrefix}/${containerId}/${file}`, "utf8")).trim();
}

async function listing(directory: string): Promise<string[]> {
  const entries = await readdir(directory);
  return [...entries, ...(await readdir(join(directory, "etc"))), ...(await readdir(join(directory, ".sallyport")))];
}
