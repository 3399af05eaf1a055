// Between the api's messages and this worker's own words. Wishes are checked here once more: whatever the api let
// through, nothing that is out of shape reaches the kernel.
import type {
  DesiredInstance,
  InstanceReport,
  PortRule as WirePortRule,
  NetworkRules as WireRules,
  InstanceSpec as WireSpec,
} from "@sallyport/contracts";
import {
  DesiredInstance_Wish,
  EndReason,
  InstanceState,
  IpProtocol,
  isId,
  NetworkRules_Mode,
  type Outcome,
} from "@sallyport/contracts";
import { formatAddress, type NetworkRules, type PortRule, parseAddress } from "@sallyport/policy";
import type { InstanceOutcome, InstanceRecord, InstanceSpec } from "../instance/record.ts";
import type { RunWish, Wish } from "../instance/registry.ts";
import type { Phase } from "../instance/state.ts";
import { checkRules } from "../network/index.ts";

/** Undefined for a wish that names no instance, or that is none of those we know. */
export function wishOf(desired: DesiredInstance): Wish | undefined {
  const { instanceId, sandboxId, generation } = desired;
  if (!isId("instance", instanceId) || !isId("sandbox", sandboxId) || !Number.isSafeInteger(generation))
    return undefined;
  const sleep = { generation: desired.sleepGeneration, asleep: desired.asleep };
  if (!Number.isSafeInteger(sleep.generation)) return undefined;
  const wish = { instanceId, sandboxId, generation, sleep };
  if (desired.wish === DesiredInstance_Wish.STOP) return { ...wish, want: { kind: "stop" } };
  if (desired.wish !== DesiredInstance_Wish.RUN) return undefined;
  try {
    return { ...wish, want: { kind: "run", ...runOf(desired) } };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { ...wish, want: { kind: "refuse", problem } };
  }
}

class BadWish extends Error {
  override readonly name = "BadWish";
  readonly code = "BadWish" as const;
}

const MIN_MEMORY_MIB = 32;
const MIN_DISK_MIB = 16;
/** 16 TiB: the most that the file system of a disk is made for. */
const MAX_DISK_MIB = 16 * 1024 * 1024;

/** The newest policy that the wish tells of may be in the specification, beside it, or alone. */
function runOf({ spec, network }: DesiredInstance): Omit<RunWish, "kind"> {
  const beside = network === undefined ? undefined : networkOf(network);
  if (spec === undefined) return { network: beside };
  const own = specOf(spec);
  const newest = beside !== undefined && beside.generation > own.network.generation ? beside : own.network;
  return { spec: { ...own, network: newest }, network: newest };
}

function networkOf(wire: WireRules): InstanceSpec["network"] {
  require(Number.isSafeInteger(wire.generation) && wire.generation >= 0, "network has a generation that is none");
  return { generation: wire.generation, rules: rulesOf(wire) };
}

function specOf(spec: WireSpec): InstanceSpec {
  require(/^sha256:[0-9a-f]{64}$/.test(spec.imageDigest), "image_digest is not a digest");
  require(spec.cpuMillis >= 10, "cpu_millis is below 10");
  require(spec.memoryMib >= MIN_MEMORY_MIB, `memory_mib is below ${MIN_MEMORY_MIB}`);
  require(spec.diskMib >= MIN_DISK_MIB &&
    spec.diskMib <= MAX_DISK_MIB, `disk_mib is not ${MIN_DISK_MIB} to ${MAX_DISK_MIB}`);
  require(spec.pids >= 1, "pids is below 1");
  require(Number.isSafeInteger(spec.lifetimeMs) && spec.lifetimeMs >= 1, "lifetime_ms is below 1");
  for (const [name, ms] of [
    ["idle_timeout_ms", spec.idleTimeoutMs],
    ["sleep_after_ms", spec.sleepAfterMs],
  ] as const) {
    require(Number.isSafeInteger(ms) && ms >= 0, `${name} is not a number of milliseconds`);
  }
  require(spec.command === undefined || spec.command.argv.length > 0, "command is empty");
  const words = [...(spec.command?.argv ?? []), ...Object.entries(spec.env).flat(), spec.workdir];
  require(!words.some((word) => word.includes("\0")), "a word of command, env or workdir holds NUL");
  require(!Object.keys(spec.env).some((name) => name === "" || name.includes("=")), "env has a name that is none");
  const { network, command, pty } = spec;
  if (network === undefined) throw new BadWish("network is missing");
  return {
    imageDigest: spec.imageDigest,
    limits: { cpuMillis: spec.cpuMillis, memoryMiB: spec.memoryMib, pids: spec.pids },
    lifetimeMs: spec.lifetimeMs,
    diskMiB: spec.diskMib,
    env: spec.env,
    workdir: spec.workdir === "" ? "/" : spec.workdir,
    ...(spec.uid === 0 && spec.gid === 0 ? {} : { uid: spec.uid, gid: spec.gid }),
    network: networkOf(network),
    ...(spec.dns.length > 0 ? { dns: resolversOf(spec.dns) } : {}),
    ...(spec.idleTimeoutMs > 0 ? { idleTimeoutMs: spec.idleTimeoutMs } : {}),
    ...(spec.sleepAfterMs > 0 ? { sleepAfterMs: spec.sleepAfterMs } : {}),
    ...(command === undefined ? {} : { command: command.argv }),
    ...(pty === undefined ? {} : { pty: { columns: pty.columns, rows: pty.rows } }),
  };
}

/** Most resolvers that a C library asks. */
const MAX_RESOLVERS = 3;

/** They become lines of a file: canonical addresses and nothing else. */
function resolversOf(dns: readonly string[]): string[] {
  require(dns.length <= MAX_RESOLVERS, `dns has more than ${MAX_RESOLVERS} resolvers`);
  return dns.map((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new BadWish("dns has a resolver that is no address");
    return formatAddress(address);
  });
}

function require(holds: boolean, problem: string): void {
  if (!holds) throw new BadWish(problem);
}

const MODES: ReadonlyMap<NetworkRules_Mode, NetworkRules["mode"]> = new Map([
  [NetworkRules_Mode.OPEN, "open"],
  [NetworkRules_Mode.BLOCKED, "blocked"],
  [NetworkRules_Mode.ALLOW, "allow"],
]);

const PROTOCOLS: ReadonlyMap<IpProtocol, PortRule["protocol"]> = new Map([
  [IpProtocol.TCP, "tcp"],
  [IpProtocol.UDP, "udp"],
  [IpProtocol.ICMP, "icmp"],
]);

/** Throws for an unknown mode, and for lists that are not what compiling a policy gives. */
export function rulesOf(wire: WireRules): NetworkRules {
  const mode = MODES.get(wire.mode);
  if (mode === undefined) throw new BadWish("network has a mode that this worker does not know");
  const rules = {
    mode,
    allow4: wire.allowIpv4,
    allow6: wire.allowIpv6,
    granted4: wire.grantedIpv4,
    granted6: wire.grantedIpv6,
    portRules: wire.portRules.map(portRuleOf),
  };
  checkRules(rules);
  return rules;
}

function portRuleOf(wire: WirePortRule): PortRule {
  const protocol = PROTOCOLS.get(wire.protocol);
  const family = parseAddress(wire.firstAddress)?.family;
  if (protocol === undefined) throw new BadWish("network has a port rule of a protocol that this worker does not know");
  if (family === undefined) throw new BadWish("network has a port rule without an address");
  return {
    family,
    first: wire.firstAddress,
    last: wire.lastAddress,
    protocol,
    fromPort: wire.firstPort,
    toPort: wire.lastPort,
    granted: wire.granted,
  };
}

const STATES: Readonly<Record<Phase, InstanceState>> = {
  preparing: InstanceState.STARTING,
  claiming: InstanceState.STARTING,
  running: InstanceState.RUNNING,
  stopping: InstanceState.STOPPING,
  ended: InstanceState.ENDED,
};

const REASONS: Readonly<Record<InstanceOutcome["reason"], EndReason>> = {
  exited: EndReason.EXITED,
  signalled: EndReason.SIGNALLED,
  timeout: EndReason.TIMEOUT,
  idle: EndReason.IDLE,
  oom: EndReason.OOM,
  pids: EndReason.PIDS,
  terminated: EndReason.TERMINATED,
  initFailure: EndReason.INIT_FAILURE,
  lost: EndReason.LOST,
};

export function reportOf(record: InstanceRecord): InstanceReport {
  const { instanceId, generation, seq, phase, networkGeneration } = record;
  return {
    instanceId,
    generation,
    seq,
    networkGeneration,
    state: STATES[phase],
    outcome: phase === "ended" && record.outcome !== undefined ? wireOutcome(record.outcome) : undefined,
    at: new Date(record.at),
    asleep: record.sleep?.asleep === true && phase !== "ended",
    sleepGeneration: record.sleep?.generation ?? 0,
    events: (record.events ?? []).map((event) => ({
      seq: event.seq,
      at: new Date(event.at),
      type: event.type,
      detail: event.detail,
    })),
  };
}

function wireOutcome(outcome: InstanceOutcome): Outcome {
  const { reason, exitCode, signal, message, startErrorField } = outcome;
  return { reason: REASONS[reason], exitCode, signal, message, startErrorField };
}
