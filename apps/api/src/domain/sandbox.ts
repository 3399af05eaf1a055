// What a sandbox is to the services: what was asked for, what the worker needs, what callers see.
import type { NetworkPolicy } from "@sallyport/policy";
import type { DeclaredPort } from "./declared-port.ts";
import type { Outcome, SandboxState, Wish } from "./instance-state.ts";
import { DISK_MIB } from "./limits.ts";
import type { NumberedRules } from "./network.ts";

export interface PtySize {
  readonly columns: number;
  readonly rows: number;
}

/** What a create asks for, as it came: nothing is judged yet. */
export interface CreateSandboxInput {
  readonly idempotencyKey: string;
  readonly appName: string | undefined;
  readonly image: string | undefined;
  readonly command: readonly string[] | undefined;
  readonly env: ReadonlyMap<string, string>;
  readonly workdir: string | undefined;
  readonly lifetimeMs: number | undefined;
  readonly cpuMillis: number | undefined;
  readonly memoryMiB: number | undefined;
  /** A policy in the shape of `@sallyport/policy`; null where the request names no mode that we know. */
  readonly network: unknown;
  readonly pty: PtySize | undefined;
  readonly name: string | undefined;
  readonly tags: ReadonlyMap<string, string>;
  readonly idleTimeoutMs: number | undefined;
  readonly sleepAfterMs: number | undefined;
  readonly diskMiB: number | undefined;
  readonly dns: readonly string[];
  readonly encryptedPorts: readonly number[];
  readonly h2Ports: readonly number[];
  readonly unencryptedPorts: readonly number[];
  readonly proxyProtocolPorts: readonly number[];
  /** CIDRs; undefined for everybody. */
  readonly inbound: readonly string[] | undefined;
  readonly waitMs: number;
}

/** Everything that a worker needs to start an instance, but for the number of the policy. */
export interface InstanceSpec {
  readonly imageDigest: string;
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly pids: number;
  readonly lifetimeMs: number;
  readonly command: readonly string[] | undefined;
  /** Pairs, since a name like "__proto__" is no key for a plain object. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly workdir: string;
  readonly pty: PtySize | undefined;
  /** The newest policy's. */
  readonly network: NumberedRules;
  readonly diskMiB: number;
  /** Undefined: never. */
  readonly idleTimeoutMs: number | undefined;
  readonly sleepAfterMs: number | undefined;
  /** Whom everything in the sandbox runs as: the image's user. */
  readonly uid: number;
  readonly gid: number;
  /** Resolvers that the create named. */
  readonly dns: readonly string[];
}

/** A spec as it is kept: the release before wrote fewer members. */
export type StoredSpec = Omit<InstanceSpec, LateMember | "network"> &
  Partial<Pick<InstanceSpec, LateMember>> & {
    readonly network: Omit<NumberedRules, "portRules"> & Partial<Pick<NumberedRules, "portRules">>;
  };
type LateMember = "diskMiB" | "idleTimeoutMs" | "sleepAfterMs" | "uid" | "gid" | "dns";

/** A kept spec with what held when it was written. */
export function wholeSpec(stored: StoredSpec): InstanceSpec {
  return {
    diskMiB: DISK_MIB.unset,
    idleTimeoutMs: undefined,
    sleepAfterMs: undefined,
    uid: 0,
    gid: 0,
    dns: [],
    ...stored,
    network: { portRules: [], ...stored.network },
  };
}

/** A sandbox as its workspace sees it. */
export interface Sandbox {
  readonly id: string;
  readonly appId: string;
  readonly appName: string;
  readonly image: string;
  readonly state: SandboxState;
  readonly createdAt: Date;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly outcome: Outcome | undefined;
  readonly network: NetworkPolicy;
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly lifetimeMs: number;
  readonly command: readonly string[] | undefined;
  readonly unreachable: boolean;
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly idleTimeoutMs: number | undefined;
  readonly sleepAfterMs: number | undefined;
  readonly diskMiB: number;
  readonly asleep: boolean;
  readonly dns: readonly string[];
  /** What its create declared, by port. */
  readonly ports: readonly DeclaredPort[];
  /** CIDRs of those who may come; undefined for everybody. */
  readonly inbound: readonly string[] | undefined;
  /** Numbers its newest policy. */
  readonly networkGeneration: number;
  /** The kernel has not got it yet. */
  readonly networkPending: boolean;
}

/** What the api wishes of one instance. */
export interface DesiredInstance {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly wish: Wish;
  /** Present for a wish to run. */
  readonly spec: InstanceSpec | undefined;
  /** Grows with each wish to sleep or to wake. */
  readonly sleepGeneration: number;
  /** What the newest of them wishes. */
  readonly asleep: boolean;
  /** Grows with each policy; the newest is in the spec. */
  readonly networkGeneration: number;
}
