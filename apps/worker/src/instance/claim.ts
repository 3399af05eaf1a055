// The second step of a start: a prepared sandbox becomes one tenant's. Its command starts only after the kernel has
// answered that it has the policy. Repeated after a kill of the worker, every step changes nothing.
import { allDone } from "../system/all-done.ts";
import type { Door } from "./doors.ts";
import { throughDoor } from "./doors.ts";
import { etcFiles } from "./etc.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceSpec } from "./record.ts";
import type { Timeline } from "./timeline.ts";

export interface ClaimOptions {
  readonly door: Door;
  readonly slot: number;
  readonly spec: InstanceSpec;
  readonly signal: AbortSignal;
  readonly timeline: Timeline;
}

/** The rules were refused; the sandbox must not start. */
class PolicyNotAppliedError extends Error {
  override readonly name = "PolicyNotAppliedError";
  readonly code = "PolicyNotApplied" as const;

  constructor(cause: unknown) {
    super(`the network policy could not be applied: ${cause instanceof Error ? cause.message : "unknown"}`, { cause });
  }
}

export async function claim(parts: InstanceParts, options: ClaimOptions): Promise<void> {
  const { runtime, network, gateway } = parts;
  const { door, slot, spec, signal, timeline } = options;
  await allDone([
    network.applyPolicy({ slot }, spec.network.rules).catch((error: unknown) => {
      throw new PolicyNotAppliedError(error);
    }),
    runtime.setLimits(door.instanceId, spec.limits),
    runtime.writeEtc(door.instanceId, etcFiles(door.sandboxId, door.slot)),
  ]);
  timeline.mark("policy");
  signal.throwIfAborted();
  const { command, env, workdir, pty } = spec;
  const start = async () => {
    if (command === undefined) return;
    await throughDoor(parts, door, signal, () =>
      gateway.startEntrypoint(door.instanceId, { command, env, workdir, pty }, signal),
    );
  };
  const open = () => throughDoor(parts, door, signal, () => gateway.open(door.instanceId, { env, workdir }, signal));
  await allDone([start(), open()]);
  timeline.mark("entrypoint");
}
