// Options of the SDK → requests of the wire, and answers back. Nothing is validated here that the api validates; only
// values that have no form on the wire are refused.
import type {
  Command,
  CreateSandboxRequest,
  PtySize as WirePtySize,
  Sandbox as WireSandbox,
} from "@sallyport/contracts";
import { SandboxState } from "@sallyport/contracts";
import type { App } from "./app.ts";
import type { ExitStatus } from "./exit-status.ts";
import { toExitStatus } from "./exit-status.ts";
import type { Image } from "./image.ts";
import type { NetworkOption, NetworkPolicy } from "./network.ts";
import { fromWirePolicy, toWirePolicy } from "./network.ts";
import type { DeclaredPort, PortOptions } from "./ports.ts";
import { fromWirePorts, toWirePorts } from "./ports.ts";
import type { CallOptions } from "./scope.ts";
import { MAX_UINT32, toTexts, wellFormed, wholeNumber } from "./wire-values.ts";

/** The size of a terminal, in characters: each 1 to 1,000. */
export interface PtySize {
  readonly columns: number;
  readonly rows: number;
}

/** How {@link Sandbox.create} makes a sandbox. `P`: the ports that it declares. */
export type CreateOptions<P extends number = number> = CallOptions &
  NetworkOption &
  PortOptions<P> & {
    /** Default: the app `default`, made when first used. Any other must exist. */
    readonly app?: App | string | undefined;
    /**
     * Default: {@link Image.default}. A text other than "default" or the id of an image is a reference of a registry.
     * What is not made yet is pulled or built first; without `timeoutMs` that has no deadline.
     */
    readonly image?: Image | string | undefined;
    /** 1 to 63 of `[a-z0-9-]`, unique among the living sandboxes of its app: {@link Sandbox.fromName} finds it. */
    readonly name?: string | undefined;
    /** At most 32. Keys: 1 to 63 of `[A-Za-z0-9._/-]`; values: at most 255 characters. {@link Sandbox.list} filters by them. */
    readonly tags?: Readonly<Record<string, string>> | undefined;
    /** Environment of the command and of every process. Names match `[A-Za-z_][A-Za-z0-9_]*`; 128 KiB in all. */
    readonly env?: Readonly<Record<string, string>> | undefined;
    /** Working directory of the command and of every process; absolute. Default: `/`. */
    readonly workdir?: string | undefined;
    /** How long the sandbox may live after its start, in milliseconds: 1,000 to 86,400,000. Default: 3,600,000. */
    readonly lifetimeMs?: number | undefined;
    /**
     * Ended, with reason `idle`, after so many milliseconds without an open connection, a running process beside the
     * command, or a call: 1,000 to 86,400,000. Default: never.
     */
    readonly idleTimeoutMs?: number | undefined;
    /**
     * Asleep (frozen: it keeps its memory and uses no processor) after so many milliseconds without such use, until the
     * next use wakes it: 1,000 to 86,400,000. Lifetime and idle timeout go on meanwhile. Default: never.
     */
    readonly sleepAfterMs?: number | undefined;
    /** Processors: 0.1 to 64. Default: 1. */
    readonly cpu?: number | undefined;
    /** Memory limit, the sandbox's kernel included: 128 to 65,536 MiB. Default: 512. */
    readonly memoryMiB?: number | undefined;
    /** How much it may write to its file system: 16 to 65,536 MiB. Default: 1,024. */
    readonly diskMiB?: number | undefined;
    /** Gives the command a terminal; `true` is 80 × 24. */
    readonly pty?: boolean | PtySize | undefined;
    /**
     * Addresses of at most 3 resolvers, for an allow-listed sandbox: its policy must reach each at port 53, UDP and TCP.
     * Default: none for it, nor for a blocked one; an open one has the platform's.
     */
    readonly dns?: readonly string[] | undefined;
  };

/** Where a sandbox is in its life. `ended` is final. */
export type SandboxStateName = "pending" | "running" | "stopping" | "ended";

/** A sandbox as the platform describes it. */
export interface SandboxInfo {
  readonly id: string;
  /** The app's name. */
  readonly app: string;
  /** As it was asked for. */
  readonly image: string;
  readonly state: SandboxStateName;
  readonly command: readonly string[] | undefined;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly exitStatus: ExitStatus | undefined;
  readonly network: NetworkPolicy | undefined;
  readonly cpu: number;
  readonly memoryMiB: number;
  readonly lifetimeMs: number;
  /** Its machine has been silent for a while; it may well be running. */
  readonly unreachable: boolean;
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Undefined: never. */
  readonly idleTimeoutMs: number | undefined;
  /** Undefined: never. */
  readonly sleepAfterMs: number | undefined;
  readonly diskMiB: number;
  /** Frozen: whatever uses it wakes it. */
  readonly asleep: boolean;
  /** Resolvers that its create named. */
  readonly dns: readonly string[];
  /** Numbers its policies, from 1; grows with each update. */
  readonly networkGeneration: number;
  /** The newest policy is not in its machine's kernel yet: the one before still holds. */
  readonly networkPending: boolean;
  /** What its create declared; {@link Sandbox.tunnels} has their addresses. */
  readonly ports: readonly DeclaredPort[];
  /** Client addresses that may use its tunnels and connect tokens. Undefined: all. */
  readonly inboundCidrAllowlist: readonly string[] | undefined;
}

const STATES: ReadonlyMap<SandboxState, SandboxStateName> = new Map<SandboxState, SandboxStateName>([
  [SandboxState.PENDING, "pending"],
  [SandboxState.RUNNING, "running"],
  [SandboxState.STOPPING, "stopping"],
  [SandboxState.ENDED, "ended"],
]);

export function toCreateRequest(
  command: readonly string[] | undefined,
  options: CreateOptions,
  image: string | undefined,
  idempotencyKey: string,
  waitMs: number,
): CreateSandboxRequest {
  const { app, cpu } = options;
  return {
    idempotencyKey,
    appName: typeof app === "object" ? app.name : app,
    image,
    command: command === undefined ? undefined : toCommand(command),
    env: toEnv(options.env),
    name: options.name,
    tags: toTags(options.tags),
    idleTimeoutMs: wholeNumber("idleTimeoutMs", options.idleTimeoutMs, Number.MAX_SAFE_INTEGER),
    sleepAfterMs: wholeNumber("sleepAfterMs", options.sleepAfterMs, Number.MAX_SAFE_INTEGER),
    diskMib: wholeNumber("diskMiB", options.diskMiB, MAX_UINT32),
    workdir: options.workdir,
    lifetimeMs: wholeNumber("lifetimeMs", options.lifetimeMs, Number.MAX_SAFE_INTEGER),
    cpuMillis: wholeNumber("cpu", cpu === undefined ? undefined : Math.round(cpu * 1_000), MAX_UINT32),
    memoryMib: wholeNumber("memoryMiB", options.memoryMiB, MAX_UINT32),
    network: toWirePolicy(options),
    dns: toTexts(options.dns, "dns"),
    pty: toPty(options.pty),
    ...toWirePorts(options),
    waitMs,
  };
}

export function toCommand(argv: readonly string[]): Command {
  if (!Array.isArray(argv) || !argv.every((word) => typeof word === "string")) {
    throw new TypeError("a command is an array of strings");
  }
  argv.forEach((word, index) => {
    wellFormed(`command[${index}]`, word);
  });
  return { argv: [...argv] };
}

export function toEnv(env: Readonly<Record<string, string>> | undefined): Record<string, string> {
  for (const [name, value] of Object.entries(env ?? {})) wellFormed(`env.${name}`, value);
  return { ...env };
}

export function toTags(tags: Readonly<Record<string, string>> | undefined): Record<string, string> {
  for (const [key, value] of Object.entries(tags ?? {})) {
    wellFormed("tags", key);
    wellFormed(`tags.${key}`, value);
  }
  return { ...tags };
}

export function toPty(pty: boolean | PtySize | undefined): WirePtySize | undefined {
  if (pty === undefined || pty === false) return undefined;
  return pty === true ? { columns: 80, rows: 24 } : toPtySize(pty, "pty");
}

export function toPtySize(size: PtySize, field: string): WirePtySize {
  return {
    columns: wholeNumber(`${field}.columns`, size.columns, MAX_UINT32),
    rows: wholeNumber(`${field}.rows`, size.rows, MAX_UINT32),
  };
}

/** A description from the wire. */
export function toInfo(sandbox: WireSandbox): SandboxInfo {
  return Object.freeze({
    id: sandbox.id,
    app: sandbox.appName,
    image: sandbox.image,
    // A state of a newer platform: all that is certain is that it has not ended.
    state: STATES.get(sandbox.state) ?? "running",
    command: sandbox.command?.argv,
    createdAt: sandbox.createdAt,
    startedAt: sandbox.startedAt,
    endedAt: sandbox.endedAt,
    exitStatus: sandbox.outcome === undefined ? undefined : toExitStatus(sandbox.outcome),
    network: fromWirePolicy(sandbox.network),
    cpu: sandbox.cpuMillis / 1_000,
    memoryMiB: sandbox.memoryMib,
    lifetimeMs: sandbox.lifetimeMs,
    unreachable: sandbox.unreachable,
    name: sandbox.name,
    tags: Object.freeze({ ...sandbox.tags }),
    idleTimeoutMs: sandbox.idleTimeoutMs,
    sleepAfterMs: sandbox.sleepAfterMs,
    diskMiB: sandbox.diskMib,
    asleep: sandbox.asleep,
    dns: Object.freeze([...sandbox.dns]),
    networkGeneration: sandbox.networkGeneration,
    networkPending: sandbox.networkPending,
    ports: fromWirePorts(sandbox.ports),
    inboundCidrAllowlist:
      sandbox.inboundCidrAllowlist === undefined ? undefined : Object.freeze([...sandbox.inboundCidrAllowlist.cidrs]),
  });
}
