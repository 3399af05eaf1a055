// The runtime that the platform uses: runsc under conmon.
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { allDone } from "../../system/all-done.ts";
import { isContainerId } from "../container-id.ts";
import type { PrepareSandboxOptions, ProcessIdentity, SandboxLimits, SandboxRuntime } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";
import { type BundlePaths, bundlePaths, readPidFile, removeBundle, writeBundle, writeEtcFiles } from "./bundle.ts";
import type { Cgroups } from "./cgroup.ts";
import { openCgroups } from "./cgroup.ts";
import { createUnderConmon } from "./conmon.ts";
import { openDisks } from "./disk.ts";
import { watchExits } from "./exits.ts";
import { refuseOtherNetwork, refuseRootNetwork } from "./namespace.ts";
import { identify, isAlive, killProcess, processesNaming } from "./processes.ts";
import { ociSpec } from "./spec.ts";
import { deleteContainer, idsInState, type RunscOptions, startContainer } from "./state.ts";
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
  /** What sandboxes' disks leave of the file system that they lie on. 2,048 when unset. */
  readonly diskReserveMiB?: number;
  /** How many times over the rest is promised to them. 8 when unset. */
  readonly diskOvercommit?: number;
}

/**
 * Named, though they are the defaults, so that no other version's defaults count: a network stack of the sandbox's own
 * and never the machine's; no socket and no pipe of the machine's is opened through a mount. Not a default: files are
 * opened by the gofer, so that the sandbox's kernel needs no capability and no right of root's to any file, and its
 * filter of system calls allows no opening; no slower within what can be measured. Filters of system calls are on unless
 * runsc is told otherwise, those inside (`--oci-seccomp`) have no use: the kernel that they would guard is the tenant's.
 */
const HARDENING = ["--network=sandbox", "--host-uds=none", "--host-fifo=none", "--directfs=false"] as const;

const DISK_RESERVE_MIB = 2_048;
const DISK_OVERCOMMIT = 8;
const CREATE_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 5_000;
const POLL_MS = 10;

export async function openRunscRuntime(options: RunscRuntimeOptions): Promise<SandboxRuntime> {
  const facts = await probeRunsc(options.runsc);
  const directories = {
    bundles: join(options.stateDirectory, "bundles"),
    root: join(options.stateDirectory, "runsc"),
    exits: join(options.stateDirectory, "exits"),
    disks: join(options.stateDirectory, "disks"),
  };
  for (const directory of Object.values(directories)) await mkdir(directory, { recursive: true, mode: 0o700 });
  const cgroups = openCgroups({ prefix: options.cgroupPrefix });
  const exits = watchExits({ directory: directories.exits });
  const disks = await openDisks({
    templates: directories.disks,
    reserveMiB: options.diskReserveMiB ?? DISK_RESERVE_MIB,
    overcommit: options.diskOvercommit ?? DISK_OVERCOMMIT,
  });
  const runsc: RunscOptions = {
    runsc: options.runsc,
    flags: ["--root", directories.root, ...HARDENING],
    root: directories.root,
    hide: facts.hideProcSysNet ? options.hide : undefined,
  };
  const pathsOf = (containerId: string) => bundlePaths(directories.bundles, containerId);

  return {
    version: facts.version,

    async lay(sandbox: PrepareSandboxOptions) {
      const paths = pathsOf(sandbox.containerId);
      await mkdir(paths.directory, { mode: 0o700 });
      const spec = ociSpec({ ...sandbox, cgroupsPath: cgroups.pathOf(sandbox.containerId), files: paths.files });
      await allDone([
        writeBundle(paths, spec, options.init),
        cgroups.create(sandbox.containerId, sandbox.limits),
        sandbox.diskMiB === undefined ? undefined : disks.make(sandbox.containerId, paths.disk, sandbox.diskMiB),
      ]);
    },

    async create(containerId) {
      const paths = pathsOf(containerId);
      await refuseRootNetwork(await networkOf(paths.config));
      return createUnderConmon({
        conmon: options.conmon,
        runsc: options.runsc,
        runscFlags: [...runsc.flags, overlayFlag(paths)],
        containerId,
        bundle: paths,
        exitDirectory: directories.exits,
        timeoutMs: CREATE_TIMEOUT_MS,
      });
    },

    async start(containerId, processes) {
      await refuseOtherNetwork(processes.sandbox.pid, await networkOf(pathsOf(containerId).config));
      const paths = pathsOf(containerId);
      // The sandbox's process has the disk open by now.
      const detach = existsSync(paths.disk.image) ? disks.detach(paths.disk) : undefined;
      await allDone([startContainer(runsc, containerId), detach]);
    },

    setLimits: (containerId: string, limits: SandboxLimits) => cgroups.setLimits(containerId, limits),
    writeEtc: (containerId, files) => writeEtcFiles(pathsOf(containerId), files),

    async find(containerId) {
      // runsc itself is not asked: it asks the sandbox, and one that is frozen does not answer.
      const paths = pathsOf(containerId);
      const [pid, members] = await Promise.all([readPidFile(paths.sandboxPid), cgroups.members(containerId)]);
      if (pid === undefined || !members.has(pid)) return undefined;
      const [sandbox, supervisor] = await Promise.all([identify(pid), conmonOf(paths.conmonPid)]);
      return sandbox === undefined ? undefined : { sandbox, supervisor };
    },

    waitEnd: (containerId, processes, signal) => exits.wait(containerId, processes, signal),
    freeze: (containerId) => cgroups.freeze(containerId),
    thaw: (containerId) => cgroups.thaw(containerId),
    isFrozen: (containerId) => cgroups.isFrozen(containerId),
    counters: (containerId) => cgroups.counters(containerId),
    diskUse: (containerId) => disks.use(containerId, pathsOf(containerId).disk),

    async destroy(containerId, { thorough = false } = {}) {
      const paths = pathsOf(containerId);
      const supervisor = await conmonOf(paths.conmonPid);
      const created = (await readPidFile(paths.sandboxPid)) !== undefined;
      await endProcesses(cgroups, containerId, { supervisor, created, thorough });
      await deleteContainer(runsc, containerId);
      await allDone([cgroups.remove(containerId), disks.remove(containerId, paths.disk)]);
      await rm(join(directories.exits, containerId), { force: true });
      await removeBundle(paths);
    },

    async known() {
      const [bundles, containers, exitFiles, groups] = await Promise.all([
        readdir(directories.bundles),
        idsInState(directories.root),
        readdir(directories.exits),
        cgroups.known(),
      ]);
      return new Set([...bundles, ...containers, ...exitFiles, ...groups].filter((name) => isContainerId(name)));
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

/** What a sandbox writes goes over the image, which is shared: to its disk, or to its own memory where it has none. */
function overlayFlag({ disk }: BundlePaths): string {
  return existsSync(disk.image) ? `--overlay2=root:dir=${disk.mountPoint}` : "--overlay2=root:memory";
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
async function endProcesses(cgroups: Cgroups, containerId: string, options: EndOptions): Promise<void> {
  const { supervisor, created } = options;
  const deadline = performance.now() + END_TIMEOUT_MS;
  for (;;) {
    const named = options.thorough || !created ? await processesNaming(containerId) : [];
    // A supervisor in the middle of a create would go on with it. Once it is done it ends by itself, and reaps the
    // sandbox, for whose process runsc's delete would otherwise wait long.
    const helpers = created ? named.filter(({ pid }) => pid !== supervisor?.pid) : named;
    await Promise.all(helpers.map(killProcess));
    const inside = await cgroups.kill(containerId);
    const supervised = supervisor !== undefined && (await isAlive(supervisor));
    if (inside === 0 && helpers.length === 0 && !supervised) return;
    if (performance.now() > deadline) {
      if (!supervised || inside > 0) {
        throw new RuntimeError("NotGone", `processes of ${containerId} are still there after ${END_TIMEOUT_MS} ms`);
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
