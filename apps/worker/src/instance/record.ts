// What the worker remembers of an instance, on disk and in memory.
import { isId } from "@sallyport/contracts";
import { z } from "zod";
import { isContainerId } from "../runtime/container-id.ts";

const limitsShape = z.object({
  cpuMillis: z.int().min(1),
  memoryMiB: z.int().min(1),
  pids: z.int().min(1),
});

const portRuleShape = z.object({
  family: z.literal([4, 6]),
  first: z.string(),
  last: z.string(),
  protocol: z.enum(["tcp", "udp", "icmp"]),
  fromPort: z.int(),
  toPort: z.int(),
  granted: z.boolean(),
});

const rulesShape = z.object({
  mode: z.enum(["open", "blocked", "allow"]),
  allow4: z.array(z.string()).readonly(),
  allow6: z.array(z.string()).readonly(),
  granted4: z.array(z.string()).readonly(),
  granted6: z.array(z.string()).readonly(),
  /** Unset in records of earlier versions, which had none. */
  portRules: z.array(portRuleShape).readonly().default([]),
});

const specShape = z.object({
  imageDigest: z.string(),
  limits: limitsShape,
  /** Of files that it writes. Unset in records of earlier versions, whose sandboxes write to memory. */
  diskMiB: z.int().min(1).optional(),
  lifetimeMs: z.int().min(1),
  /** How long nothing may use it before it ends, or before it sleeps. Unset: for ever. */
  idleTimeoutMs: z.int().min(1).optional(),
  sleepAfterMs: z.int().min(1).optional(),
  /** Unset: nothing is started. */
  command: z.array(z.string()).min(1).optional(),
  env: z.record(z.string(), z.string()),
  workdir: z.string(),
  /** The image's user, as whom everything in the sandbox runs. Root's when unset. */
  uid: z.int().min(0).optional(),
  gid: z.int().min(0).optional(),
  pty: z.object({ columns: z.int(), rows: z.int() }).optional(),
  network: z.object({ generation: z.int(), rules: rulesShape }),
  /** Addresses of the resolvers that it asks. Its router's address when unset. */
  dns: z.array(z.string()).min(1).optional(),
});

const outcomeShape = z.object({
  reason: z.enum(["exited", "signalled", "timeout", "idle", "oom", "pids", "terminated", "initFailure", "lost"]),
  exitCode: z.int(),
  signal: z.string().optional(),
  message: z.string().optional(),
  startErrorField: z.string().optional(),
});

const eventShape = z.object({
  /** Grows with each event of the instance, from 1. */
  seq: z.int(),
  /** Milliseconds since the epoch. */
  at: z.int(),
  type: z.enum(["oom_kill", "pids_limit", "disk_full", "asleep", "awake", "network_denied"]),
  detail: z.record(z.string(), z.union([z.string(), z.number()])),
  /** The first report that tells of it: whoever acknowledges that one, or a later one, has the event. */
  reportSeq: z.int(),
});

const bareShape = z.object({
  version: z.literal(1),
  instanceId: z.string().refine((id) => isId("instance", id)),
  sandboxId: z.string().refine((id) => isId("sandbox", id)),
  /** What it runs in. Earlier versions named containers by their instances. */
  containerId: z.string().refine(isContainerId).optional(),
  generation: z.int(),
  phase: z.enum(["preparing", "claiming", "running", "stopping", "ended"]),
  /** Grows with each change that is reported. */
  seq: z.int(),
  /** When it changed last, in milliseconds since the epoch. */
  at: z.int(),
  /** The start of the machine in which this was written: processes of another one are gone. */
  bootId: z.string(),
  /** Dropped when the instance has ended: it holds the tenant's environment. */
  spec: specShape.optional(),
  initSecret: z.string().optional(),
  slot: z.int().optional(),
  /** Milliseconds since the epoch; set when it began to run. */
  lifetimeEndsAt: z.int().optional(),
  /** The newest policy that the kernel has. */
  networkGeneration: z.int(),
  /** Whether it was frozen last, the newest wish about it that was followed, and since when nothing uses it. */
  sleep: z.object({ asleep: z.boolean(), generation: z.int(), idleSince: z.int().optional() }).optional(),
  /** What happened, until the api has it. */
  events: z.array(eventShape).optional(),
  /** That of the newest event. */
  eventSeq: z.int().optional(),
  /** Set from "stopping" on. */
  outcome: outcomeShape.optional(),
  /** The api knows the end. What is left is a tombstone, against wishes that were long on their way. */
  ackedAt: z.int().optional(),
});

export const recordShape = bareShape.transform((record) => ({
  ...record,
  containerId: record.containerId ?? record.instanceId,
}));

export type InstanceEvent = z.infer<typeof eventShape>;
export type InstanceSpec = z.infer<typeof specShape>;
export type InstanceOutcome = z.infer<typeof outcomeShape>;
export type InstanceRecord = z.infer<typeof recordShape>;
