// The OCI configuration of a sandbox, as data. Pure: what a sandbox may not have is decided here and nowhere else.
import type { SandboxLimits } from "../runtime.ts";

export interface SpecOptions {
  readonly rootfs: string;
  readonly netnsPath: string;
  readonly cgroupsPath: string;
  readonly initSecret: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly limits: SandboxLimits;
  /** Where the platform's own files of this container lie. */
  readonly files: PlatformFiles;
}

export interface PlatformFiles {
  readonly init: string;
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

/** Where init is inside. */
export const INIT_PATH = "/.sallyport/init";

/** The same everywhere, since a sandbox is made before it is known whose it will be; /etc/hostname has the sandbox's id. */
export const HOSTNAME = "sandbox";

/** A sandbox's kernel has about 28 tasks when idle, and a limit that is hit ends the sandbox. */
const MIN_PIDS = 256;
/** Those of an idle sandbox, and some for what its kernel does beside. */
const OWN_TASKS = 28;

/** Mount points that every root file system must have, since they are made in it when they are missing. */
export const MOUNT_POINTS = {
  directories: ["/proc", "/dev", "/sys", "/tmp", "/.sallyport"],
  files: [INIT_PATH, "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"],
} as const;

const MAX_OPEN_FILES = 65_536;

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export type OciSpec = ReturnType<typeof ociSpec>;

/** The whole configuration. Nothing of a tenant's is in it. */
export function ociSpec(options: SpecOptions) {
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: options.user?.uid ?? 0, gid: options.user?.gid ?? 0 },
      args: [INIT_PATH],
      env: [`SALLYPORT_INIT_SECRET=${options.initSecret}`],
      cwd: "/",
      noNewPrivileges: true,
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
      rlimits: [
        // Below the limit of tasks, so that a program that forks without end is refused instead of ending the sandbox.
        { type: "RLIMIT_NPROC", soft: processLimit(options.limits), hard: processLimit(options.limits) },
        { type: "RLIMIT_NOFILE", soft: MAX_OPEN_FILES, hard: MAX_OPEN_FILES },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
      ],
    },
    root: { path: options.rootfs, readonly: false }, // writes go to the sandbox's own overlay
    hostname: HOSTNAME,
    mounts: mounts(options),
    linux: {
      namespaces: [
        { type: "pid" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "network", path: options.netnsPath },
      ],
      cgroupsPath: options.cgroupsPath,
      resources: {
        memory: { limit: memoryBytes(options.limits) },
        pids: { limit: pidsLimit(options.limits) },
        // No processor quota: it would throttle the boot of the sandbox's kernel, and is set when a tenant comes.
      },
    },
  };
}

export function memoryBytes(limits: SandboxLimits): number {
  return limits.memoryMiB * 1024 * 1024;
}

export function pidsLimit(limits: SandboxLimits): number {
  return Math.max(limits.pids, MIN_PIDS);
}

/** A process at rest costs the sandbox's kernel one task, one that forks without end up to 2.8, as measured. */
function processLimit(limits: SandboxLimits): number {
  return Math.floor((pidsLimit(limits) - OWN_TASKS) / 3);
}

function mounts({ files, limits }: SpecOptions): OciMount[] {
  // As on any Linux, half of the memory: what lies there counts as memory, and filling it should not be the end.
  const tmpSize = `size=${Math.floor(memoryBytes(limits) / 2)}`;
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777", tmpSize] },
    platformFile(INIT_PATH, files.init),
    platformFile("/etc/hosts", files.hosts),
    platformFile("/etc/hostname", files.hostname),
    platformFile("/etc/resolv.conf", files.resolvConf),
  ];
}

function platformFile(destination: string, source: string): OciMount {
  return { destination, type: "bind", source, options: ["bind", "ro", "nosuid", "nodev"] };
}
