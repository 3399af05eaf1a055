// The peer that is gVisor alone: `runsc run` and `runsc exec` of the same file system, limits and kind of network.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";

export interface RunscPeer extends AsyncDisposable {
  /** `runsc run` of `echo hi` until its output is there. */
  create(): Promise<void>;
  /** `runsc exec` of `true` in a running container. */
  exec(): Promise<void>;
}

/** Runs a program with /proc/sys/net hidden, which runsc 20240729 needs on Linux ≥ 6.8; the peers get what we use. */
export const HIDE_SYSCTLS = "/opt/sallyport/native/current/sallyport-hide";

export async function startRunscPeer(runsc: string, rootfs: string): Promise<RunscPeer> {
  const directory = await mkdtemp(join(tmpdir(), "spb-runsc-"));
  const namespace = `spb-${process.pid}`;
  await run("ip", ["netns", "add", namespace]);
  await run("ip", ["-n", namespace, "link", "set", "lo", "up"]);
  const config = (args: readonly string[], id: string) => ({
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      noNewPrivileges: true,
      capabilities: {},
    },
    root: { path: rootfs, readonly: false },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
    ],
    linux: {
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "network", path: `/run/netns/${namespace}` },
      ],
      cgroupsPath: `/spb-${process.pid}/${id}`,
      resources: { memory: { limit: 536_870_912 }, cpu: { quota: 100_000, period: 100_000 }, pids: { limit: 512 } },
    },
  });
  const runscArgs = [runsc, "--root", join(directory, "state"), "--overlay2=root:memory"];
  const [program, ...flags] = [HIDE_SYSCTLS, ...runscArgs] as const;
  const bundle = async (args: readonly string[], id: string) => {
    const path = await mkdtemp(join(directory, "bundle-"));
    await writeFile(join(path, "config.json"), JSON.stringify(config(args, id)));
    return path;
  };
  const call = (args: readonly string[]) => run(program, [...flags, ...args]);
  // Not before it is needed: an idle systrap sandbox burns CPU.
  let resident: ChildProcess | undefined;
  const startResident = async () => {
    const path = await bundle(["sh", "-c", "echo up; sleep 100000"], "resident");
    const child = spawn(program, [...flags, "run", "--bundle", path, "resident"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    resident = child;
    await once(child.stdout, "data");
  };
  let count = 0;
  return {
    async create() {
      count += 1;
      const id = `create-${count}`;
      const output = await call(["run", "--bundle", await bundle(["echo", "hi"], id), id]);
      if (!output.includes("hi")) throw new Error("no output");
    },
    async exec() {
      if (resident === undefined) await startResident();
      await run(runsc, ["--root", join(directory, "state"), "exec", "resident", "true"]);
    },
    async [Symbol.asyncDispose]() {
      if (resident !== undefined) {
        await run(runsc, ["--root", join(directory, "state"), "kill", "resident", "KILL"]);
        if (resident.exitCode === null) await once(resident, "exit");
        await run(runsc, ["--root", join(directory, "state"), "delete", "--force", "resident"]);
      }
      await run("ip", ["netns", "del", namespace]);
      await run("sh", ["-c", `find /sys/fs/cgroup -depth -type d -path '*/spb-${process.pid}*' -exec rmdir {} +`]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
