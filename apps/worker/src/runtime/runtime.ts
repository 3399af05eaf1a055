// What the worker needs of whatever runs sandboxes. Only rooms below this one know which program that is.

/** What a sandbox may use. */
export interface SandboxLimits {
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  /** Tasks, those of the sandbox's kernel included. */
  readonly pids: number;
}

export interface PrepareSandboxOptions {
  /** Never used before: a container has one life, and one tenant. */
  readonly containerId: string;
  /** The image's root file system; shared between sandboxes, never written. */
  readonly rootfs: string;
  /** The slot's network namespace. */
  readonly netnsPath: string;
  /** 64 hexadecimal digits, known to init alone. */
  readonly initSecret: string;
  /** As whom everything in it runs; root when unset. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** What it may write to files; unset: memory alone bounds it. */
  readonly diskMiB?: number | undefined;
  /** Memory and tasks hold from the first instruction; processor time is not limited before `setLimits`. */
  readonly limits: SandboxLimits;
}

/** A process of the host, told apart from a later one of the same number by the moment of its start. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

/** The processes behind a started sandbox. */
export interface SandboxProcesses {
  readonly sandbox: ProcessIdentity;
  /** Undefined when the supervisor is gone, which the sandbox survives. */
  readonly supervisor: ProcessIdentity | undefined;
}

/** How a container ended, as far as its supervisor could tell. */
export interface ContainerEnd {
  /** Undefined when nobody was there to see it. */
  readonly exitCode: number | undefined;
}

/** How much of a sandbox's disk is used, as the machine sees it. */
export interface DiskUse {
  readonly sizeBytes: number;
  readonly usedBytes: number;
}

/** What the kernel counted about a sandbox. It must be read before the sandbox is destroyed. */
export interface LimitCounters {
  /** Processes killed for want of memory. */
  readonly oomKills: number;
  /** Refusals to make another task. */
  readonly pidsRefusals: number;
}

/** Platform-owned files that a sandbox sees read-only. */
export interface EtcFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface SandboxRuntime extends AsyncDisposable {
  /** For the api and for people. */
  readonly version: string;
  /** Lays out the bundle and the cgroups. Needs no network. Throws RuntimeError. */
  lay(options: PrepareSandboxOptions): Promise<void>;
  /** Creates the sandbox that was laid out; nothing of it runs yet. Throws RuntimeError, never leaves it running. */
  create(containerId: string): Promise<SandboxProcesses>;
  /** Starts init. Refuses (RuntimeError "RootNetwork") a sandbox that is in the machine's own network namespace. */
  start(containerId: string, processes: SandboxProcesses): Promise<void>;
  /** Applies exact limits to a created sandbox. */
  setLimits(containerId: string, limits: SandboxLimits): Promise<void>;
  /** Writes the platform's files in place; the sandbox sees them at once. */
  writeEtc(containerId: string, files: EtcFiles): Promise<void>;
  /** The processes of a sandbox that was started, frozen or not; undefined when there is none (any more). */
  find(containerId: string): Promise<SandboxProcesses | undefined>;
  /** Resolves when the sandbox is gone, by whatever cause. Rejects with the signal's reason. */
  waitEnd(containerId: string, processes: SandboxProcesses, signal: AbortSignal): Promise<ContainerEnd>;
  /** Stops everything in the sandbox until `thaw`: it uses no processor time. Throws RuntimeError, and then it runs. */
  freeze(containerId: string): Promise<void>;
  /** Lets a frozen sandbox go on; one that runs, or is gone, is left as it is. */
  thaw(containerId: string): Promise<void>;
  /** Whether it is frozen, or was on its way there when an earlier worker was killed. */
  isFrozen(containerId: string): Promise<boolean>;
  /** Zeroes where there is nothing to read. */
  counters(containerId: string): Promise<LimitCounters>;
  /** Undefined for a sandbox without a disk of its own, and for none. */
  diskUse(containerId: string): Promise<DiskUse | undefined>;
  /**
   * Ends the sandbox, frozen or half made, and removes everything it had: processes, cgroups, state, files. Idempotent;
   * throws RuntimeError when something is left. `thorough` also looks for helpers that an earlier worker left running.
   */
  destroy(containerId: string, options?: { readonly thorough?: boolean }): Promise<void>;
  /** Ids of every container of this platform that has left any trace. */
  known(): Promise<ReadonlySet<string>>;
  /** Removes what all sandboxes shared, when none is left. */
  teardown(): Promise<void>;
}

export type RuntimeErrorCode =
  /** The sandbox's network namespace is the machine's own. */
  | "RootNetwork"
  /** A program failed or took too long. */
  | "RuntimeFailed"
  /** Something of a sandbox could not be removed yet. */
  | "NotGone"
  /** The machine has no room for what was asked. */
  | "NoRoom"
  /** The image cannot be started from. */
  | "BadImage";

/** The one error of this room. Its message holds no secret. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
