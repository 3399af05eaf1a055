// The first step of a start: a sandbox whose init is up, in a slot that nothing leaves. It knows no tenant.
import type { SlotNetwork } from "../network/index.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { allDone } from "../system/all-done.ts";
import { attach } from "./doors.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceSpec } from "./record.ts";
import type { Timeline } from "./timeline.ts";

export interface MakeSandboxOptions {
  readonly containerId: string;
  readonly initSecret: string;
  /** What the sandbox is made by. */
  readonly size: Pick<InstanceSpec, "imageDigest" | "limits" | "diskMiB" | "uid" | "gid">;
  /** Aborted when it is not wanted any more: looked at between steps, none of which is torn apart. */
  readonly signal: AbortSignal;
  readonly timeline: Timeline;
  /** Told at once, since whoever cleans up must know it. */
  readonly onSlot: (slot: SlotNetwork) => Promise<void>;
  readonly onCreated?: (processes: SandboxProcesses) => void;
  /** Done while init starts; its signal is aborted when that fails. */
  readonly beside?: (slot: SlotNetwork, signal: AbortSignal) => Promise<void>;
}

export interface PrepareOptions extends Omit<MakeSandboxOptions, "beside"> {
  readonly instanceId: string;
  readonly sandboxId: string;
  readonly generation: number;
}

/** A sandbox whose init the gateway has met. Throws what any step throws; the caller cleans up. */
export async function prepare(parts: InstanceParts, options: PrepareOptions): Promise<void> {
  // The gateway dials while the sandbox starts: what is lost while the address changes hands is dialled again at once.
  const beside = (slot: SlotNetwork, signal: AbortSignal) => attach(parts, { ...options, slot }, signal);
  await makeSandbox(parts, { ...options, beside });
  options.timeline.mark("attach");
}

/** A sandbox whose init was started. Throws what any step throws; the caller cleans up. */
export async function makeSandbox(
  parts: Pick<InstanceParts, "runtime" | "network" | "images">,
  options: MakeSandboxOptions,
): Promise<{ readonly slot: SlotNetwork; readonly processes: SandboxProcesses }> {
  const { runtime, network, images } = parts;
  const { containerId, size, signal, timeline } = options;
  const rootfs = await images.rootfs(size.imageDigest);
  const slot = await network.acquireSlot(signal);
  await options.onSlot(slot);
  timeline.mark("slot");
  signal.throwIfAborted();
  await runtime.lay({
    containerId,
    rootfs,
    netnsPath: slot.netnsPath,
    initSecret: options.initSecret,
    user: { uid: size.uid ?? 0, gid: size.gid ?? 0 },
    limits: size.limits,
    diskMiB: size.diskMiB,
  });
  timeline.mark("lay");
  signal.throwIfAborted();
  const processes = await runtime.create(containerId);
  options.onCreated?.(processes);
  timeline.mark("create");
  signal.throwIfAborted();
  const failed = new AbortController();
  const start = runtime.start(containerId, processes).then(
    () => timeline.mark("start"),
    (error: unknown) => {
      failed.abort(error);
      throw error;
    },
  );
  await allDone([start, options.beside?.(slot, AbortSignal.any([signal, failed.signal]))]);
  return { slot, processes };
}
