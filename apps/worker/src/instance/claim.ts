// The second step of a start: a prepared sandbox becomes one tenant's. Its command starts only after the kernel has
// answered that it has the policy. Repeated after a kill of the worker, every step changes nothing.
import { allDone } from "../system/all-done.ts";
import type { Door } from "./doors.ts";
import { attach, throughDoor } from "./doors.ts";
import { etcFiles } from "./etc.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceSpec } from "./record.ts";
import type { Timeline } from "./timeline.ts";

export interface ClaimOptions {
  /** Whether the gateway has met the sandbox's init. */
  readonly attached: boolean;
  readonly door: Door;
  readonly containerId: string;
  readonly slot: number;
  readonly spec: InstanceSpec;
  /** The newest policy that is wished, asked for again after each that was applied. */
  readonly newestNetwork: () => InstanceSpec["network"];
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

/** Answers which policy the kernel had when the command was started. */
export async function claim(parts: InstanceParts, options: ClaimOptions): Promise<InstanceSpec["network"]> {
  const { runtime, network, gateway } = parts;
  const { door, containerId, slot, spec, signal, timeline } = options;
  const meet = async () => {
    await runtime.thaw(containerId); // one that was made ahead is frozen
    await attach(parts, door, signal);
  };
  let applied = options.newestNetwork();
  const apply = async () => {
    try {
      await network.applyPolicy({ slot }, applied.rules);
    } catch (error) {
      throw new PolicyNotAppliedError(error);
    }
  };
  await allDone([
    apply(),
    runtime.setLimits(containerId, spec.limits),
    runtime.writeEtc(containerId, etcFiles(door.sandboxId, door.slot, spec.dns)),
    options.attached ? undefined : meet(),
  ]);
  // A policy that came meanwhile holds for the command's first packet.
  for (let newest = options.newestNetwork(); newest !== applied; newest = options.newestNetwork()) {
    applied = newest;
    await apply();
  }
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
  return applied;
}
