// The first step of a start: a sandbox whose init is up, in a slot that nothing leaves. It knows no tenant.
import type { SlotNetwork } from "../network/index.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { allDone } from "../system/all-done.ts";
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
  // The gateway dials while the sandbox starts: what is lost while the address changes hands is dialled again at once.
  const failed = new AbortController();
  const start = runtime.start(instanceId, processes).then(
    () => timeline.mark("start"),
    (error: unknown) => {
      failed.abort(error);
      throw error;
    },
  );
  await allDone([start, attach(parts, { ...options, slot }, AbortSignal.any([signal, failed.signal]))]);
  timeline.mark("attach");
  return slot;
}
