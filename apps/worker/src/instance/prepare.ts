// The first step of a start: a sandbox whose init is up, in a slot that nothing leaves. It knows no tenant.
import type { SlotNetwork } from "../network/index.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { attach } from "./doors.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceSpec } from "./record.ts";
import type { Timeline } from "./timeline.ts";

export interface PrepareOptions {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly initSecret: string;
  /** What the sandbox is sized by. */
  readonly size: Pick<InstanceSpec, "imageDigest" | "limits">;
  /** Aborted when the instance is to end meanwhile: looked at between steps, none of which is torn apart. */
  readonly signal: AbortSignal;
  readonly timeline: Timeline;
  /** Told at once, since whoever cleans up must know it. */
  readonly onSlot: (slot: SlotNetwork) => Promise<void>;
  readonly onCreated: (processes: SandboxProcesses) => void;
}

/** Throws what any step throws; the caller cleans up. */
export async function prepare(parts: InstanceParts, options: PrepareOptions): Promise<SlotNetwork> {
  const { runtime, network, images } = parts;
  const { instanceId, signal, timeline } = options;
  const rootfs = await images.rootfs(options.size.imageDigest);
  const slot = await network.acquireSlot(signal);
  await options.onSlot(slot);
  timeline.mark("slot");
  signal.throwIfAborted();
  await runtime.lay({
    instanceId,
    hostname: options.sandboxId,
    rootfs,
    netnsPath: slot.netnsPath,
    initSecret: options.initSecret,
    limits: options.size.limits,
  });
  timeline.mark("lay");
  signal.throwIfAborted();
  const processes = await runtime.create(instanceId);
  options.onCreated(processes);
  timeline.mark("create");
  signal.throwIfAborted();
  await runtime.start(instanceId, processes);
  timeline.mark("start");
  // Not before: while the sandbox takes its address over, a dial is lost rather than refused, and costs more than it wins.
  await attach(parts, { ...options, slot }, signal);
  timeline.mark("attach");
  return slot;
}
