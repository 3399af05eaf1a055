// Where generated messages end: to and from what the talk with workers knows.
import type {
  DesiredInstance as DesiredInstanceMessage,
  InstanceReport as InstanceReportMessage,
  InstanceSpec as InstanceSpecMessage,
  Outcome as OutcomeMessage,
  WatchDesiredRequest,
} from "@sallyport/contracts";
import { InstanceState as InstanceStateCode, DesiredInstance_Wish as WishCode } from "@sallyport/contracts";
import type { EndReason, Outcome, Report } from "../domain/instance-state.ts";
import type { DesiredInstance, InstanceSpec } from "../domain/sandbox.ts";
import type { InstanceReport } from "../services/worker-reports.ts";
import type { WorkerHello } from "../services/worker-sync.ts";
import { END_REASONS } from "./convert.ts";
import { toRules } from "./convert-network.ts";

const REASONS: ReadonlyMap<number, EndReason> = new Map(
  Object.entries(END_REASONS).map(([word, code]) => [code, word as EndReason]),
);

const REPORTED_STATES: ReadonlyMap<number, Report["state"]> = new Map([
  [InstanceStateCode.STARTING, "starting"],
  [InstanceStateCode.RUNNING, "running"],
  [InstanceStateCode.STOPPING, "stopping"],
  [InstanceStateCode.ENDED, "ended"],
]);

/** The year 9999. */
const MAX_TIME_MS = 253_402_300_799_000;
/** More of a worker's prose is not kept. */
const MAX_MESSAGE_CHARACTERS = 2_000;

export function fromHello(request: WatchDesiredRequest): WorkerHello {
  const { workerId, platformId, cpuMillis, maxInstances, ioAddress, ioUrl, images, runscVersion } = request;
  return {
    workerId,
    platformId,
    cpuMillis,
    memoryMiB: request.memoryMib,
    maxInstances,
    ioAddress,
    ioUrl,
    images,
    runscVersion,
  };
}

/** A report; undefined when it names no state that we know. */
export function fromReport(report: InstanceReportMessage): InstanceReport | undefined {
  const state = REPORTED_STATES.get(report.state);
  if (state === undefined) return undefined;
  const { instanceId, generation, seq, networkGeneration, asleep, sleepGeneration } = report;
  const outcome = report.outcome === undefined ? undefined : fromOutcome(report.outcome);
  const events = report.events.map(({ seq: number, at, type, detail }) => ({
    seq: number,
    at: toTime(at),
    type,
    detail,
  }));
  const common = { instanceId, generation, seq, networkGeneration, asleep, sleepGeneration, events };
  return { ...common, state, outcome, at: toTime(report.at) };
}

/** A time that the database can keep; now where there is none. */
function toTime(at: Date | undefined): Date {
  return at === undefined || Number.isNaN(at.getTime()) || Math.abs(at.getTime()) > MAX_TIME_MS ? new Date() : at;
}

function fromOutcome(outcome: OutcomeMessage): Outcome | undefined {
  const reason = REASONS.get(outcome.reason);
  if (reason === undefined) return undefined;
  const { exitCode, signal, message, startErrorField } = outcome;
  return { reason, exitCode, signal: kept(signal), message: kept(message), startErrorField: kept(startErrorField) };
}

/** PostgreSQL keeps no NUL, and a report that cannot be kept would come for ever. */
function kept(text: string | undefined): string | undefined {
  return text?.slice(0, MAX_MESSAGE_CHARACTERS).replaceAll("\0", "\uFFFD");
}

export function toDesired(instance: DesiredInstance): DesiredInstanceMessage {
  const { instanceId, sandboxId, generation, wish, spec, sleepGeneration, asleep, networkGeneration } = instance;
  return {
    instanceId,
    sandboxId,
    generation,
    wish: wish === "run" ? WishCode.RUN : WishCode.STOP,
    spec: spec === undefined ? undefined : toSpec(spec),
    sleepGeneration,
    asleep,
    // The first one is in the spec alone: with it, most wishes would say everything twice.
    network: spec === undefined || networkGeneration === 1 ? undefined : toRules(spec.network),
  };
}

function toSpec(spec: InstanceSpec): InstanceSpecMessage {
  const { imageDigest, cpuMillis, memoryMiB, pids, lifetimeMs, workdir, pty, uid, gid } = spec;
  return {
    imageDigest,
    cpuMillis,
    memoryMib: memoryMiB,
    pids,
    lifetimeMs,
    workdir,
    pty,
    uid,
    gid,
    diskMib: spec.diskMiB,
    idleTimeoutMs: spec.idleTimeoutMs ?? 0,
    sleepAfterMs: spec.sleepAfterMs ?? 0,
    command: spec.command === undefined ? undefined : { argv: [...spec.command] },
    env: Object.fromEntries(spec.env),
    network: toRules(spec.network),
    dns: [...spec.dns],
  };
}
