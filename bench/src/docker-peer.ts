// The peer that is Docker with the same runtime and the same file system. Its engine is the benchmark's own: own data,
// own socket, in a network namespace of its own, so that its bridge and rules vanish with it.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";
import { HIDE_SYSCTLS } from "./runsc-peer.ts";

export interface DockerPeer extends AsyncDisposable {
  /** `docker run --rm` of `echo hi`, to the end as the user waits for it. */
  create(): Promise<void>;
  /** `docker exec` of `true`. */
  exec(): Promise<void>;
}

/** Starts an engine; undefined, with a word to `say`, when none can be had here. */
export async function startDockerPeer(
  runsc: string,
  rootfs: string,
  say: (line: string) => void,
): Promise<DockerPeer | undefined> {
  if (!existsSync("/usr/sbin/dockerd")) {
    if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
      say("no Docker engine here: the comparison with `docker run` is left out");
      return undefined;
    }
    say("installing Debian's docker.io for the comparison (its service is not started)");
    try {
      await installEngine();
    } catch (error) {
      say(`no Docker engine to be had (${String(error)}): the comparison is left out`);
      return undefined;
    }
  }
  const directory = await mkdtemp(join(tmpdir(), "spb-docker-"));
  const namespace = `spd-${process.pid}`;
  await run("ip", ["netns", "add", namespace]);
  const runtime = join(directory, "runsc");
  await writeFile(runtime, `#!/bin/sh\nexec ${HIDE_SYSCTLS} ${runsc} --overlay2=root:memory "$@"\n`);
  await chmod(runtime, 0o755);
  const socket = join(directory, "docker.sock");
  const engine = spawn(
    "nsenter",
    [
      `--net=/run/netns/${namespace}`,
      "dockerd",
      `--data-root=${join(directory, "data")}`,
      `--exec-root=${join(directory, "exec")}`,
      `--pidfile=${join(directory, "pid")}`,
      `--host=unix://${socket}`,
      `--add-runtime=runsc=${runtime}`,
      "--log-level=error",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const client = dockerClient();
  const docker = (args: readonly string[]) => run(client, ["--host", `unix://${socket}`, ...args]);
  const dispose = async () => {
    await stop(engine);
    await run("ip", ["netns", "del", namespace]);
    await run("sh", ["-c", `umount -R ${directory}/exec/netns/* ${directory}/data/*/* 2>/dev/null; true`]);
    await run("sh", [
      "-c",
      "find /sys/fs/cgroup -depth -mindepth 2 -type d -path '*/docker*' -exec rmdir {} + 2>/dev/null; true",
    ]);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await ready(engine, docker);
    await run("sh", ["-c", `tar -C '${rootfs}' -cf - . | ${client} --host unix://${socket} import - spb:latest`]);
    const limits = ["--runtime=runsc", "--memory=512m", "--cpus=1", "--pids-limit=512"];
    let resident: Promise<string> | undefined; // not before it is needed: an idle systrap sandbox burns CPU
    return {
      async create() {
        const output = await docker(["run", "--rm", ...limits, "spb:latest", "echo", "hi"]);
        if (!output.includes("hi")) throw new Error("no output");
      },
      async exec() {
        resident ??= docker(["run", "-d", "--name", "resident", ...limits, "spb:latest", "sleep", "100000"]);
        await resident;
        await docker(["exec", "resident", "true"]);
      },
      async [Symbol.asyncDispose]() {
        if (resident !== undefined) await docker(["rm", "-f", "resident"]);
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    say(`the Docker engine does not work here (${String(error)}): the comparison is left out`);
    return undefined;
  }
}

/** Installs without letting the package start its service: policy-rc.d is not touched, the start is masked by env. */
async function installEngine(): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await run("apt-get", ["install", "--yes", "--no-install-recommends", "docker.io"], env);
}

function dockerClient(): string {
  return existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";
}

async function ready(engine: ChildProcess, docker: (args: readonly string[]) => Promise<string>): Promise<void> {
  let log = "";
  engine.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-2_000);
  });
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      await docker(["info"]);
      return;
    } catch {
      if (engine.exitCode !== null || Date.now() > deadline) throw new Error(`dockerd did not start: ${log}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function stop(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  const exited = once(engine, "exit");
  engine.kill("SIGTERM");
  const timer = setTimeout(() => engine.kill("SIGKILL"), 20_000);
  await exited;
  clearTimeout(timer);
}
