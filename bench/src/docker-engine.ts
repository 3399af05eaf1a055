// A Docker engine of the benchmark's own: own data, own socket, in a network namespace of its own, so that its bridge
// and rules vanish with it.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";
import { haveProgram } from "./debian.ts";
import { HIDE_SYSCTLS } from "./runsc-peer.ts";

export interface DockerEngine extends AsyncDisposable {
  /** Names every process of the engine, and every shim. */
  readonly directory: string;
  /** The command line of the client, to be followed by a verb. */
  readonly client: readonly [string, ...string[]];
  /** Runs a command of the client and returns its stdout. */
  docker(args: readonly string[]): Promise<string>;
}

const READY_MS = 60_000;
const STOP_MS = 20_000;

/** Starts an engine whose runtime "runsc" is ours. Throws when it does not start; then nothing of it is left. */
export async function startDockerEngine(runsc: string): Promise<DockerEngine> {
  const directory = await mkdtemp(join(tmpdir(), "spb-docker-"));
  const namespace = `spd-${process.pid}`;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  await run("ip", ["netns", "add", namespace]);
  stack.defer(async () => {
    await run("ip", ["netns", "del", namespace]);
    await run("sh", ["-c", `umount -R ${directory}/exec/netns/* ${directory}/data/*/* 2>/dev/null; true`]);
    const docker =
      "find /sys/fs/cgroup -depth -mindepth 2 -type d -path '*/docker*' -exec rmdir {} + 2>/dev/null; true";
    await run("sh", ["-c", docker]);
  });
  const runtime = join(directory, "runsc");
  await writeFile(runtime, `#!/bin/sh\nexec ${HIDE_SYSCTLS} ${runsc} --overlay2=root:memory "$@"\n`);
  await chmod(runtime, 0o755);
  const host = `unix://${join(directory, "docker.sock")}`;
  const places = ["data-root=data", "exec-root=exec", "pidfile=pid"].map((place) => {
    const [name, path = ""] = place.split("=");
    return `--${name}=${join(directory, path)}`;
  });
  const settings = [...places, `--host=${host}`, `--add-runtime=runsc=${runtime}`, "--log-level=error"];
  const engine = spawn("nsenter", [`--net=/run/netns/${namespace}`, "dockerd", ...settings], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  stack.defer(() => stop(engine));
  const client = [existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker", "--host", host] as const;
  const [program, ...flags] = client;
  const docker = (args: readonly string[]) => run(program, [...flags, ...args]);
  await ready(engine, docker);
  const running = stack.move();
  return { directory, client, docker, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Whether an engine can be started here; installs Debian's where root may. Says what it does, and why it cannot. */
export function haveDockerEngine(say: (line: string) => void): Promise<boolean> {
  return haveProgram("/usr/sbin/dockerd", "docker.io", "the comparison with Docker", say);
}

async function ready(engine: ChildProcess, docker: (args: readonly string[]) => Promise<string>): Promise<void> {
  let log = "";
  engine.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-2_000);
  });
  const deadline = performance.now() + READY_MS;
  for (;;) {
    try {
      await docker(["info"]);
      return;
    } catch {
      if (engine.exitCode !== null || performance.now() > deadline) throw new Error(`dockerd did not start: ${log}`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function stop(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  const exited = once(engine, "exit");
  engine.kill("SIGTERM");
  const timer = setTimeout(() => engine.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(timer);
}
