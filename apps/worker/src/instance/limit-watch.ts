// What a sandbox's limits did to it while it lives on, as events: told once when it begins, and again only when it has
// been over meanwhile.
import type { DiskUse, LimitCounters } from "../runtime/runtime.ts";
import type { InstanceEvent, InstanceSpec } from "./record.ts";

const MIB = 1024 * 1024;
/** The sandbox's kernel takes room in pieces of 2 MiB: less is of no use to it. */
const PIECE_BYTES = 3 * MIB;
/** ext4 keeps a fiftieth to itself, and never more than 4,096 blocks. */
const KEPT_SHARE = 0.02;
const MAX_KEPT_BYTES = 16 * MIB;
/** A disk counts as having room again when so many times as much is free. */
const ROOM_FACTOR = 3;

export interface LimitLook {
  readonly counters: LimitCounters;
  readonly disk: DiskUse | undefined;
}

export type LimitEvent = Pick<InstanceEvent, "type" | "detail">;

export class LimitWatch {
  #last: LimitLook | undefined;
  #isDiskFull = false;
  #isForking = false;

  /** `isFresh`: nothing was looked at before. Otherwise what the first look finds may have been told already. */
  constructor(isFresh: boolean) {
    if (isFresh) this.#last = { counters: { oomKills: 0, pidsRefusals: 0 }, disk: undefined };
  }

  /** What is new since the last look. */
  look(now: LimitLook, { limits, diskMiB }: Pick<InstanceSpec, "limits" | "diskMiB">): LimitEvent[] {
    const events: LimitEvent[] = [];
    const kills = now.counters.oomKills - (this.#last ?? now).counters.oomKills;
    if (kills > 0) {
      const message = `out of memory: the kernel killed ${kills === 1 ? "a process" : `${kills} processes`} of the sandbox`;
      events.push({ type: "oom_kill", detail: { message, kills, memoryMib: limits.memoryMiB } });
    }
    const refusals = now.counters.pidsRefusals - (this.#last ?? now).counters.pidsRefusals;
    if (refusals > 0 && !this.#isForking) {
      const message = `too many processes: the kernel refused more than ${limits.pids} tasks`;
      events.push({ type: "pids_limit", detail: { message, pids: limits.pids } });
    }
    this.#isForking = refusals > 0;
    const wasFull = this.#isDiskFull;
    this.#isDiskFull = isFull(now.disk, wasFull ? ROOM_FACTOR : 1);
    if (this.#isDiskFull && !wasFull && this.#last !== undefined) {
      const message = `the disk of ${diskMiB ?? 0} MiB is full: writes to files fail until something is removed`;
      events.push({ type: "disk_full", detail: { message, diskMib: diskMiB ?? 0 } });
    }
    this.#last = now;
    return events;
  }
}

export function isFull(disk: DiskUse | undefined, factor = 1): boolean {
  if (disk === undefined) return false;
  const unusable = PIECE_BYTES + Math.min(disk.sizeBytes * KEPT_SHARE, MAX_KEPT_BYTES);
  return disk.sizeBytes - disk.usedBytes < unusable * factor;
}
