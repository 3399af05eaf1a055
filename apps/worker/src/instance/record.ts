// What the worker remembers of an instance, on disk and in memory.
import { isId } from "@sallyport/contracts";
import { z } from "zod";

const limitsShape = z.object({
  cpuMillis: z.int().min(1),
  memoryMiB: z.int().min(1),
  pids: z.int().min(1),
});

const rulesShape = z.object({
  mode: z.enum(["open", "blocked", "allow"]),
  allow4: z.array(z.string()).readonly(),
  allow6: z.array(z.string()).readonly(),
  granted4: z.array(z.string()).readonly(),
  granted6: z.array(z.string()).readonly(),
});

const specShape = z.object({
  imageDigest: z.string(),
  limits: limitsShape,
  lifetimeMs: z.int().min(1),
  /** Unset: nothing is started. */
  command: z.array(z.string()).min(1).optional(),
  env: z.record(z.string(), z.string()),
  workdir: z.string(),
  pty: z.object({ columns: z.int(), rows: z.int() }).optional(),
  network: z.object({ generation: z.int(), rules: rulesShape }),
});

const outcomeShape = z.object({
  reason: z.enum(["exited", "signalled", "timeout", "idle", "oom", "pids", "terminated", "initFailure", "lost"]),
  exitCode: z.int(),
  signal: z.string().optional(),
  message: z.string().optional(),
  startErrorField: z.string().optional(),
});

export const recordShape = z.object({
  version: z.literal(1),
  instanceId: z.string().refine((id) => isId("instance", id)),
  sandboxId: z.string().refine((id) => isId("sandbox", id)),
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
  /** Set from "stopping" on. */
  outcome: outcomeShape.optional(),
  /** The api knows the end. What is left is a tombstone, against wishes that were long on their way. */
  ackedAt: z.int().optional(),
});

export type InstanceSpec = z.infer<typeof specShape>;
export type InstanceOutcome = z.infer<typeof outcomeShape>;
export type InstanceRecord = z.infer<typeof recordShape>;
