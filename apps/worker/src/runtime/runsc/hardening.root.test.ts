// A running sandbox as the machine sees it: what its processes may do, see and use, read back from the kernel and from
// the configuration on disk.
import { randomBytes } from "node:crypto";
import { mkdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  compileStatic,
  findImage,
  findRunsc,
  freshUlid,
  HIDE_HELPER,
  makeNamespace,
  makeStateDirectory,
  removeDirectory,
} from "../../../test/machine.ts";
import type { SandboxProcesses, SandboxRuntime } from "../runtime.ts";
import { openRunscRuntime } from "./runsc-runtime.ts";

const CGROUP_PREFIX = `sallyport-${freshUlid().slice(-8)}`;
const CONTAINER_ID = `bx-${freshUlid()}`;
const SECRET = randomBytes(32).toString("hex");
const LIMITS = { cpuMillis: 500, memoryMiB: 128, pids: 300 };
/** May open, create and hand over files of the one tree that it sees; nothing else of root's. */
const GOFER_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "SYS_CHROOT"];
const CAPABILITY_BITS = new Map([
  [0, "CHOWN"],
  [1, "DAC_OVERRIDE"],
  [2, "DAC_READ_SEARCH"],
  [3, "FOWNER"],
  [4, "FSETID"],
  [18, "SYS_CHROOT"],
]);

let state: string;
let rootfs: string;
let bundle: string;
let runtime: SandboxRuntime;
let namespace: { readonly path: string } & AsyncDisposable;
let processes: SandboxProcesses;
let gofer: number;
/** The sandbox's kernel and the stubs in which it runs programs. */
let kernel: readonly number[];

beforeAll(async () => {
  state = await makeStateDirectory();
  ({ rootfs } = await findImage());
  const init = await compileStatic("fake-init.c", join(state, "fake-init"));
  await mkdir(join(state, "worker"));
  bundle = join(state, "worker/bundles", CONTAINER_ID);
  namespace = await makeNamespace(`sp-test-${process.pid}`);
  runtime = await openRunscRuntime({
    runsc: findRunsc(),
    conmon: "conmon",
    init,
    hide: HIDE_HELPER,
    stateDirectory: join(state, "worker"),
    cgroupPrefix: CGROUP_PREFIX,
  });
  const options = { containerId: CONTAINER_ID, rootfs, netnsPath: namespace.path, initSecret: SECRET };
  await runtime.lay({ ...options, limits: LIMITS, diskMiB: 64 });
  processes = await runtime.create(CONTAINER_ID);
  await runtime.start(CONTAINER_ID, processes);
  await runtime.setLimits(CONTAINER_ID, LIMITS);
  const members = await membersOf("pids");
  const names = await Promise.all(members.map(async (pid) => [pid, (await argv(pid))[0] ?? ""] as const));
  gofer = names.find(([, name]) => name.includes("runsc-gofer"))?.[0] ?? 0;
  kernel = members.filter((pid) => pid !== gofer);
});

afterAll(async () => {
  await runtime.destroy(CONTAINER_ID, { thorough: true });
  await runtime.teardown();
  await runtime[Symbol.asyncDispose]();
  await namespace[Symbol.asyncDispose]();
  await removeDirectory(state);
});

const proc = (pid: number, file: string) => readFile(`/proc/${pid}/${file}`, "utf8");
const argv = async (pid: number) => (await proc(pid, "cmdline")).split("\0");
const namespaceOf = (pid: number, kind: string) => readlink(`/proc/${pid}/ns/${kind}`);

async function status(pid: number): Promise<Record<string, string>> {
  const lines = (await proc(pid, "status")).split("\n").filter((line) => line.includes(":"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.split(":")[1]?.trim() ?? ""]));
}

function capabilities(hex: string | undefined): string[] {
  const bits = BigInt(`0x${hex ?? "ffff"}`);
  const set = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (bits >> BigInt(bit)) & 1n);
  return set.map((bit) => CAPABILITY_BITS.get(bit) ?? `bit ${bit}`);
}

async function membersOf(controller: string): Promise<number[]> {
  const text = await readFile(`/sys/fs/cgroup/${controller}/${CGROUP_PREFIX}/${CONTAINER_ID}/cgroup.procs`, "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map(Number)
    .toSorted((a, b) => a - b);
}

async function limit(controller: string, file: string): Promise<string> {
  return (await readFile(`/sys/fs/cgroup/${controller}/${CGROUP_PREFIX}/${CONTAINER_ID}/${file}`, "utf8")).trim();
}

describe("the processes of a running sandbox", () => {
  it("are the sandbox's kernel, its stubs and one gofer", () => {
    expect(gofer).toBeGreaterThan(0);
    expect(kernel).toContain(processes.sandbox.pid);
  });

  it("are in the sandbox's cgroups, every one, and these are limited", async () => {
    const everyone = [gofer, ...kernel].toSorted((a, b) => a - b);
    for (const controller of ["memory", "pids", "cpu"]) {
      expect(await membersOf(controller)).toEqual(expect.arrayContaining(everyone));
    }
    expect(await limit("memory", "memory.limit_in_bytes")).toBe(String(128 * 1024 * 1024));
    expect(await limit("pids", "pids.max")).toBe("300");
    expect(await limit("cpu", "cpu.cfs_quota_us")).toBe("50000");
  });

  it("have no capability but the gofer's few, can get none, and run under filters of system calls", async () => {
    for (const pid of [gofer, ...kernel]) {
      const own = await status(pid);
      expect(own).toMatchObject({ NoNewPrivs: "1", Seccomp: "2" });
      for (const set of ["CapEff", "CapPrm", "CapBnd"]) {
        expect(capabilities(own[set])).toEqual(pid === gofer ? GOFER_CAPABILITIES : []);
      }
      for (const set of ["CapInh", "CapAmb"]) expect(capabilities(own[set])).toEqual([]);
    }
  });

  it("are nobody, in a user namespace that knows nobody else", async () => {
    for (const pid of kernel) {
      expect((await status(pid))["Uid"]?.split(/\s+/)).toEqual(["65534", "65534", "65534", "65534"]);
      for (const map of ["uid_map", "gid_map"]) {
        expect((await proc(pid, map)).trim().split(/\s+/)).toEqual(["65534", "65534", "1"]);
      }
    }
  });

  it("share no namespace with the machine in which anything of it could be seen", async () => {
    const slot = (await stat(namespace.path)).ino;
    for (const pid of kernel) {
      for (const kind of ["mnt", "net", "ipc", "uts", "user"]) {
        expect(await namespaceOf(pid, kind)).not.toBe(await namespaceOf(process.pid, kind));
      }
      expect(await namespaceOf(pid, "net")).toBe(`net:[${slot}]`);
    }
    for (const kind of ["mnt", "net", "ipc", "uts", "pid"]) {
      expect(await namespaceOf(gofer, kind)).not.toBe(await namespaceOf(process.pid, kind));
    }
    expect(await namespaceOf(gofer, "net")).not.toBe(`net:[${slot}]`); // it has no network at all
  });

  it("see no file system of the machine's but the image, read-only, and their own four files", async () => {
    for (const pid of kernel) {
      const [only, ...others] = mounts(await proc(pid, "mountinfo"));
      expect(only).toMatchObject({ at: "/", type: "tmpfs" });
      expect(only?.options).toContain("ro");
      expect(others).toEqual([]);
    }
    const seen = mounts(await proc(gofer, "mountinfo"));
    const files = { "/.sallyport/init": "init", "/etc/hosts": "hosts", "/etc/hostname": "hostname" };
    expect(Object.fromEntries(seen.map(({ at, source }) => [at, source]))).toEqual({
      "/": rootfs,
      ...Object.fromEntries(Object.entries(files).map(([at, name]) => [at, join(bundle, name)])),
      "/etc/resolv.conf": join(bundle, "resolv.conf"),
    });
    expect(seen.find(({ at }) => at === "/")?.options).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
  });

  it("have nothing secret in their environment and arguments, and leave no core", async () => {
    const supervisor = processes.supervisor?.pid ?? 0;
    for (const pid of [gofer, ...kernel, supervisor]) {
      const environment = await proc(pid, "environ");
      const words = (await argv(pid)).join(" ");
      expect(environment + words).not.toContain(SECRET);
      const names = environment
        .split("\0")
        .filter(Boolean)
        .map((entry) => entry.split("=")[0] ?? "");
      for (const name of names) expect(["PATH", "LC_ALL", "_OCI_SYNCPIPE"]).toContain(name);
      if (pid !== supervisor) expect(await proc(pid, "limits")).toMatch(/^Max core file size +0 /m);
    }
  });
});

describe("the configuration of a running sandbox, as it is on disk", () => {
  it("is for root's eyes alone, and gives nothing that was not meant", async () => {
    const path = join(bundle, "config.json");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(bundle)).mode & 0o777).toBe(0o700);
    const config = JSON.parse(await readFile(path, "utf8")) as Record<string, never>;
    expect(config).toMatchObject({
      process: { noNewPrivileges: true, terminal: false, env: [`SALLYPORT_INIT_SECRET=${SECRET}`] },
      hostname: "sandbox",
      root: { path: rootfs },
      linux: { cgroupsPath: `/${CGROUP_PREFIX}/${CONTAINER_ID}` },
    });
    expect(config).not.toHaveProperty("hooks");
    expect(config).not.toHaveProperty("linux.devices");
    expect(config).not.toHaveProperty("linux.seccomp");
  });

  it("has left no mount of its disk among the machine's", async () => {
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(bundle);
  });
});

interface Mount {
  /** Where in the file system that it shows. */
  readonly source: string;
  readonly at: string;
  readonly options: readonly string[];
  readonly type: string;
}

function mounts(mountinfo: string): Mount[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const words = line.split(" ");
      const type = words[words.indexOf("-") + 1] ?? "";
      return { source: words[3] ?? "", at: words[4] ?? "", options: words[5]?.split(",") ?? [], type };
    });
}
