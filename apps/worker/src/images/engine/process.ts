// One run of the engine: started in its place, ready, watched, ended with everything that it started.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { dirname, join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import { run, start } from "../../system/command.ts";
import { ImageError } from "../errors.ts";
import { ENGINE_DISK_BYTES, ENGINE_DISK_KEPT, ENGINE_START_TIMEOUT_MS } from "../limits.ts";
import { makeEngineCgroups, removeEngineCgroups } from "./cgroups.ts";
import type { EnginePaths, LaunchOptions } from "./launch.ts";
import { daemonConfig, enginePaths, launchArguments, launchEnvironment, resolvConf, runtimeScript } from "./launch.ts";
import { openEnginePlace, type PlaceNetwork } from "./place.ts";

export interface EngineOptions {
  /** Where an engine lies, or would lie. */
  readonly engineDirectory: string;
  readonly stateDirectory: string;
  /** One path component for its cgroups. */
  readonly cgroupPrefix: string;
  readonly network: PlaceNetwork;
  readonly runsc: string;
  /** Set where this runsc needs /proc/sys/net hidden. */
  readonly hide: string | undefined;
  readonly reap: string;
  readonly insecureRegistries: readonly string[];
  readonly logger: Logger;
}

/** A running engine. Disposal ends it. */
export interface RunningEngine extends AsyncDisposable {
  readonly socket: string;
  /** `cgroup.procs` files for whoever reads archives on its behalf. */
  readonly archiveCgroupFiles: readonly string[];
  /** Aborted when it has ended, by itself too. */
  readonly ended: AbortSignal;
}

const POLL_MS = 50;

/** Throws ImageError `NoEngine` where there is none, `EngineFailed` where it does not start. */
export async function startEngine(options: EngineOptions, signal: AbortSignal): Promise<RunningEngine> {
  if (!existsSync(join(options.engineDirectory, "bin", "dockerd"))) {
    throw new ImageError("NoEngine", "this machine has no engine that makes images: `npm run setup` brings one");
  }
  const startedAt = performance.now();
  await using stack = new AsyncDisposableStack();
  const paths = enginePaths(options.stateDirectory);
  await sweepEngine(options);
  await layOut(options, paths);
  const cgroups = await makeEngineCgroups(options.cgroupPrefix);
  stack.defer(() => removeEngineCgroups(options.cgroupPrefix));
  const place = stack.use(await openEnginePlace(options.network, signal));
  await writeFile(paths.resolvConf, resolvConf(place.resolver), { mode: 0o644 });
  const launch: LaunchOptions = {
    engineDirectory: await realpath(options.engineDirectory),
    stateDirectory: options.stateDirectory,
    netnsPath: place.netnsPath,
    cgroupFiles: cgroups.files,
    cgroupParent: cgroups.buildsParent,
    insecureRegistries: options.insecureRegistries,
    resolver: place.resolver,
    reap: options.reap,
  };
  const ended = new AbortController();
  const child = start(launchArguments(launch), {
    env: launchEnvironment(launch),
    stdio: ["ignore", "ignore", "pipe"],
    cwd: options.stateDirectory,
  });
  const said = lastWords(child.stderr);
  const exited = once(child, "exit").then(
    () => ended.abort(new ImageError("EngineFailed", "the engine that makes images has ended")),
    (error: unknown) => ended.abort(new ImageError("EngineFailed", "the engine could not be started", error)),
  );
  stack.defer(async () => {
    // The first process of its namespace goes with this one, and the kernel ends all others with that.
    child.kill("SIGKILL");
    await exited;
  });
  try {
    await untilReady(paths.socket, AbortSignal.any([signal, ended.signal]));
  } catch (error) {
    signal.throwIfAborted();
    options.logger.error({ engine: said() }, "the engine did not start");
    throw new ImageError("EngineFailed", "the engine that makes images could not be started", error);
  }
  options.logger.info({ ms: Math.round(performance.now() - startedAt) }, "the engine runs");
  const owned = stack.move();
  return {
    socket: paths.socket,
    archiveCgroupFiles: cgroups.archiveFiles,
    ended: ended.signal,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Takes away what an engine of a killed worker left: the kernel has ended its processes with the worker. */
export async function sweepEngine(options: Pick<EngineOptions, "stateDirectory" | "cgroupPrefix">): Promise<void> {
  const paths = enginePaths(options.stateDirectory);
  await removeEngineCgroups(options.cgroupPrefix);
  await Promise.all([
    rm(paths.exec, { recursive: true, force: true }),
    rm(paths.socket, { force: true }),
    rm(paths.pidFile, { force: true }),
  ]);
}

async function layOut(options: EngineOptions, paths: EnginePaths): Promise<void> {
  await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
  for (const directory of [paths.data, paths.exec, dirname(paths.runtime)]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  await Promise.all([
    writeFile(paths.config, daemonConfig(paths), { mode: 0o600 }),
    writeFile(paths.runtime, runtimeScript(options.runsc, options.hide), { mode: 0o700 }),
    makeDisk(paths.disk),
  ]);
}

/** A sparse file with a file system: whatever a tenant pulls, no more than this of the machine's disk is taken. */
async function makeDisk(path: string): Promise<void> {
  const used = await stat(path).then(
    ({ blocks }) => blocks * 512,
    () => undefined, // there is none yet
  );
  if (used !== undefined && used < ENGINE_DISK_BYTES * ENGINE_DISK_KEPT) return;
  await rm(path, { force: true });
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  await writeFile(fresh, "", { mode: 0o600 });
  await truncate(fresh, ENGINE_DISK_BYTES);
  await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", fresh]);
  await run(["mv", "-T", fresh, path]);
}

async function untilReady(socketPath: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + ENGINE_START_TIMEOUT_MS;
  for (;;) {
    signal.throwIfAborted();
    if (await answers(socketPath)) return;
    if (performance.now() > deadline) throw new Error("it did not answer in time");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/_ping", timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve(false));
    call.end();
  });
}

function lastWords(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    text = (text + chunk).slice(-2_000);
  });
  return () => text.trim();
}
