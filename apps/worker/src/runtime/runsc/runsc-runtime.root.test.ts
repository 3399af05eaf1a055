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
    instanceId: `in-${freshUlid()}`,
    hostname: `sb-${freshUlid()}`,
    rootfs,
    netnsPath: namespace.path,
    initSecret: randomBytes(32).toString("hex"),
    limits: LIMITS,
    ...changes,
  };
}

async function started(options: PrepareSandboxOptions) {
  await runtime.lay(options);
  const processes = await runtime.create(options.instanceId);
  await runtime.start(options.instanceId, processes);
  return processes;
}

function mode(word: string): EtcFiles {
  return { hosts: "127.0.0.1 localhost\n", hostname: `${word}\n`, resolvConf: "" };
}

async function expectNothingLeft(instanceId: string): Promise<void> {
  expect(await tracesOf(instanceId)).toEqual([]);
  expect(await runtime.known()).not.toContain(instanceId);
  const files = await Promise.all(
    ["bundles", "runsc", "exits"].map((directory) => readdir(join(state, "worker", directory))),
  );
  expect(files.flat().filter((name) => name.includes(instanceId))).toEqual([]);
}

describe("a sandbox of runsc", () => {
  it("starts, is limited, sees changed files, ends, and leaves nothing", async () => {
    const options = sandbox();
    const before = await listing(rootfs);
    const processes = await started(options);
    expect(processes.supervisor).toBeDefined();
    expect((await runtime.find(options.instanceId))?.sandbox).toEqual(processes.sandbox);
    await runtime.setLimits(options.instanceId, LIMITS);
    expect(await cgroupFile("memory", options.instanceId, "memory.limit_in_bytes")).toBe(String(128 * 1024 * 1024));
    expect(await cgroupFile("pids", options.instanceId, "pids.max")).toBe("256");
    expect(await cgroupFile("cpu", options.instanceId, "cpu.cfs_quota_us")).toBe("50000");

    const end = runtime.waitEnd(options.instanceId, processes, AbortSignal.timeout(20_000));
    await runtime.writeEtc(options.instanceId, mode("exit"));
    expect(await end).toEqual({ exitCode: 3 });
    await runtime.destroy(options.instanceId);
    await expectNothingLeft(options.instanceId);
    await runtime.destroy(options.instanceId); // again, with nothing there
    expect(await listing(rootfs)).toEqual(before);
  });

  it("is ended while it runs, and while it is frozen", async () => {
    for (const freeze of [false, true]) {
      const options = sandbox();
      const processes = await started(options);
      if (freeze) {
        const file = `/sys/fs/cgroup/freezer/${cgroupPrefix}/${options.instanceId}/freezer.state`;
        await run(["sh", "-c", 'printf FROZEN > "$1"', "sh", file]);
      }
      const end = runtime.waitEnd(options.instanceId, processes, AbortSignal.timeout(20_000));
      await runtime.destroy(options.instanceId);
      await end;
      await expectNothingLeft(options.instanceId);
    }
  });

  it("tells a death by memory and a death by tasks from others", async () => {
    const hungry = sandbox();
    const eating = await started(hungry);
    await runtime.setLimits(hungry.instanceId, LIMITS);
    await runtime.writeEtc(hungry.instanceId, mode("eat"));
    await runtime.waitEnd(hungry.instanceId, eating, AbortSignal.timeout(40_000));
    expect((await runtime.counters(hungry.instanceId)).oomKills).toBeGreaterThan(0);
    await runtime.destroy(hungry.instanceId);
    await expectNothingLeft(hungry.instanceId);

    const forking = sandbox({ limits: { ...LIMITS, memoryMiB: 512 } });
    const breeding = await started(forking);
    await runtime.writeEtc(forking.instanceId, mode("fork"));
    await runtime.waitEnd(forking.instanceId, breeding, AbortSignal.timeout(40_000));
    expect((await runtime.counters(forking.instanceId)).pidsRefusals).toBeGreaterThan(0);
    await runtime.destroy(forking.instanceId);
    await expectNothingLeft(forking.instanceId);
  }, 90_000);

  it("is refused in the machine's own network namespace, by path and by process", async () => {
    for (const path of ["/proc/1/ns/net", "/proc/self/ns/net"]) {
      const options = sandbox({ netnsPath: path });
      await runtime.lay(options);
      await expect(runtime.create(options.instanceId)).rejects.toMatchObject({ code: "RootNetwork" });
      await runtime.destroy(options.instanceId);
      await expectNothingLeft(options.instanceId);
    }

    const moved = sandbox();
    await runtime.lay(moved);
    const self = { pid: process.pid, startTicks: 0 };
    await expect(runtime.start(moved.instanceId, { sandbox: self, supervisor: undefined })).rejects.toMatchObject({
      code: "RootNetwork",
    });
    await runtime.destroy(moved.instanceId);
    await expectNothingLeft(moved.instanceId);
  });

  it("is found gone when its supervisor was killed before it", async () => {
    const options = sandbox();
    const processes = await started(options);
    const supervisor = processes.supervisor;
    if (supervisor === undefined) throw new Error("no conmon");
    process.kill(supervisor.pid, "SIGKILL");
    const end = runtime.waitEnd(options.instanceId, processes, AbortSignal.timeout(20_000));
    process.kill(processes.sandbox.pid, "SIGKILL");
    expect(await end).toEqual({ exitCode: undefined });
    await runtime.destroy(options.instanceId);
    await expectNothingLeft(options.instanceId);
  });

  it("leaves nothing when whoever creates it is killed at any moment of it", async () => {
    for (const delayMs of [5, 40, 90, 160]) {
      const options = sandbox();
      await runtime.lay(options);
      const creator = startProcess([process.execPath, "--conditions=@sallyport/source", "test/create-only.ts"], {
        cwd: new URL("../../..", import.meta.url).pathname,
        env: { STATE: join(state, "worker"), ID: options.instanceId, RUNSC: findRunsc(), PREFIX: cgroupPrefix },
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise<void>((resolve) => creator.stdout?.once("data", () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // how far the create has come is what varies
      creator.kill("SIGKILL");
      await new Promise<void>((resolve) => creator.once("close", () => resolve()));
      await runtime.destroy(options.instanceId, { thorough: true });
      await eventually("every process is gone", async () =>
        (await tracesOf(options.instanceId)).length === 0 ? true : undefined,
      );
      await expectNothingLeft(options.instanceId);
    }
  });
});

async function cgroupFile(controller: string, instanceId: string, file: string): Promise<string> {
  return (await readFile(`/sys/fs/cgroup/${controller}/${cgroupPrefix}/${instanceId}/${file}`, "utf8")).trim();
}

async function listing(directory: string): Promise<string[]> {
  const entries = await readdir(directory);
  return [...entries, ...(await readdir(join(directory, "etc"))), ...(await readdir(join(directory, ".sallyport")))];
}
