// The runtime that the platform uses: runsc under conmon.
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "@sallyport/contracts";
import { z } from "zod";
import { allDone } from "../../system/all-done.ts";
import type { PrepareSandboxOptions, ProcessIdentity, SandboxLimits, SandboxRuntime } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import { bundlePaths, readPidFile, removeBundle, writeBundle, writeEtcFiles } from "./bundle.ts";
import type { Cgroups } from "./cgroup.ts";
import { openCgroups } from "./cgroup.ts";
import { createUnderConmon } from "./conmon.ts";
import { watchExits } from "./exits.ts";
import { refuseOtherNetwork, refuseRootNetwork } from "./namespace.ts";
import { identify, isAlive, killProcess, processesNaming } from "./processes.ts";
import { ociSpec } from "./spec.ts";
import { containerState, deleteContainer, idsInState, type RunscOptions, startContainer } from "./state.ts";
import { probeRunsc } from "./version.ts";

export interface RunscRuntimeOptions {
  readonly runsc: string;
  readonly conmon: string;
  /** The static init program. */
  readonly init: string;
  /** The program that hides /proc/sys/net for `runsc start`. */
  readonly hide: string;
  /** Root's own directory; bundles, runsc's state and exit files lie in it. */
  readonly stateDirectory: string;
  /** One path component for the cgroups of this platform. */
  readonly cgroupPrefix: string;
}

const CREATE_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 5_000;
const POLL_MS = 10;

export async function openRunscRuntime(options: RunscRuntimeOptions): Promise<SandboxRuntime> {
  const facts = await probeRunsc(options.runsc);
  const directories = {
    bundles: join(options.stateDirectory, "bundles"),
    root: join(options.stateDirectory, "runsc"),
    exits: join(options.stateDirectory, "exits"),
  };
  for (const directory of Object.values(directories)) await mkdir(directory, { recursive: true, mode: 0o700 });
  const cgroups = openCgroups({ prefix: options.cgroupPrefix });
  const exits = watchExits({ directory: directories.exits });
  const runsc: RunscOptions = {
    runsc: options.runsc,
    // Writes of the sandbox stay in its own memory; the image below is shared.
    flags: ["--root", directories.root, "--overlay2=root:memory"],
    root: directories.root,
    hide: facts.hideProcSysNet ? options.hide : undefined,
  };
  const pathsOf = (instanceId: string) => bundlePaths(directories.bundles, instanceId);

  return {
    version: facts.version,

    async lay(sandbox: PrepareSandboxOptions) {
      const paths = pathsOf(sandbox.instanceId);
      const spec = ociSpec({ ...sandbox, cgroupsPath: cgroups.pathOf(sandbox.instanceId), files: paths.files });
      await allDone([
        writeBundle(paths, spec, options.init),
        cgroups.create(sandbox.instanceId, sandbox.limits),
        rm(join(directories.exits, sandbox.instanceId), { force: true }),
      ]);
    },

    async create(instanceId) {
      const paths = pathsOf(instanceId);
      await refuseRootNetwork(await networkOf(paths.config));
      return createUnderConmon({
        conmon: options.conmon,
        runsc: options.runsc,
        runscFlags: runsc.flags,
        instanceId,
        bundle: paths,
        exitDirectory: directories.exits,
        timeoutMs: CREATE_TIMEOUT_MS,
      });
    },

    async start(instanceId, processes) {
      await refuseOtherNetwork(processes.sandbox.pid, await networkOf(pathsOf(instanceId).config));
      await startContainer(runsc, instanceId);
    },

    setLimits: (instanceId: string, limits: SandboxLimits) => cgroups.setLimits(instanceId, limits),
    writeEtc: (instanceId, files) => writeEtcFiles(pathsOf(instanceId), files),

    async find(instanceId) {
      const state = await containerState(runsc, instanceId);
      if (state === undefined || (state.status !== "running" && state.status !== "paused")) return undefined;
      const [sandbox, supervisor] = await Promise.all([identify(state.pid), conmonOf(pathsOf(instanceId).conmonPid)]);
      return sandbox === undefined ? undefined : { sandbox, supervisor };
    },

    waitEnd: (instanceId, processes, signal) => exits.wait(instanceId, processes, signal),
    counters: (instanceId) => cgroups.counters(instanceId),

    async destroy(instanceId, { thorough = false } = {}) {
      const paths = pathsOf(instanceId);
      const supervisor = await conmonOf(paths.conmonPid);
      const created = (await readPidFile(paths.sandboxPid)) !== undefined;
      await endProcesses(cgroups, instanceId, { supervisor, created, thorough });
      await deleteContainer(runsc, instanceId);
      await cgroups.remove(instanceId);
      await rm(join(directories.exits, instanceId), { force: true });
      await removeBundle(paths);
    },

    async known() {
      const [bundles, containers, exitFiles, groups] = await Promise.all([
        readdir(directories.bundles),
        idsInState(directories.root),
        readdir(directories.exits),
        cgroups.known(),
      ]);
      return new Set([...bundles, ...containers, ...exitFiles, ...groups].filter((name) => isId("instance", name)));
    },

    teardown: () => cgroups.teardown(),

    async [Symbol.asyncDispose]() {
      exits[Symbol.dispose]();
    },
  };

  /** The supervisor of a bundle, provided the number is still that program's. */
  async function conmonOf(pidFile: string): Promise<ProcessIdentity | undefined> {
    const pid = await readPidFile(pidFile);
    if (pid === undefined || !(await runsProgram(pid, options.conmon))) return undefined;
    return identify(pid);
  }
}

interface EndOptions {
  readonly supervisor: ProcessIdentity | undefined;
  /** Whether the create of the sandbox was finished. */
  readonly created: boolean;
  readonly thorough: boolean;
}

/**
 * Kills the sandbox, lets its supervisor see the end and go, and, where helpers of an earlier worker may still be at
 * work on it, those too. Throws RuntimeError "NotGone" when something lives on.
 */
async function endProcesses(cgroups: Cgroups, instanceId: string, options: EndOptions): Promise<void> {
  const { supervisor, created } = options;
  const deadline = performance.now() + END_TIMEOUT_MS;
  for (;;) {
    const named = options.thorough || !created ? await processesNaming(instanceId) : [];
    // A supervisor in the middle of a create would go on with it. Once it is done it ends by itself, and reaps the
    // sandbox, for whose process runsc's delete would otherwise wait long.
    const helpers = created ? named.filter(({ pid }) => pid !== supervisor?.pid) : named;
    await Promise.all(helpers.map(killProcess));
    const inside = await cgroups.kill(instanceId);
    const supervised = supervisor !== undefined && (await isAlive(supervisor));
    if (inside === 0 && helpers.length === 0 && !supervised) return;
    if (performance.now() > deadline) {
      if (!supervised || inside > 0) {
        throw new RuntimeError("NotGone", `processes of ${instanceId} are still there after ${END_TIMEOUT_MS} ms`);
      }
      await killProcess(supervisor); // it missed the end of its sandbox
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const configShape = z.object({
  linux: z.object({ namespaces: z.array(z.object({ type: z.string(), path: z.string().optional() })) }),
});

/** The network namespace that the configuration on disk names, which is what runsc will read. */
async function networkOf(configPath: string): Promise<string> {
  const config = configShape.safeParse(JSON.parse(await readFile(configPath, "utf8")));
  const path = config.data?.linux.namespaces.find((namespace) => namespace.type === "network")?.path;
  if (path === undefined || path === "") {
    throw new RuntimeError("RootNetwork", "the sandbox's configuration names no network namespace");
  }
  return path;
}

async function runsProgram(pid: number, program: string): Promise<boolean> {
  try {
    const argv0 = (await readFile(`/proc/${pid}/cmdline`, "latin1")).split("\0")[0];
    return argv0 === program;
  } catch {
    return false; // ended
  }
}
