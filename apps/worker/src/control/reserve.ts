// Room that is kept on the disk for the journal: a file that is given up when the disk is full, so that what must be
// written down still can be, and is put back when there is room again.
import { open, rm } from "node:fs/promises";

export interface ReserveOptions {
  /** 16 MiB when unset: some thousand records. */
  readonly reserveBytes?: number;
  /** How long after it was given up it is tried to put it back, at the earliest. 30 s when unset. */
  readonly restoreAfterMs?: number;
}

export interface Reserve {
  /** Does a write, and does it again in the room of the reserve where the disk is full. */
  through(write: () => Promise<void>): Promise<void>;
}

const RESERVE_BYTES = 16 * 1024 * 1024;
const RESTORE_AFTER_MS = 30_000;
const BLOCK_BYTES = 1024 * 1024;

export async function openReserve(path: string, options: ReserveOptions = {}): Promise<Reserve> {
  const { reserveBytes = RESERVE_BYTES, restoreAfterMs = RESTORE_AFTER_MS } = options;
  let isHeld = await hold(path, reserveBytes);
  let nextTryAt = performance.now() + restoreAfterMs;
  return {
    async through(write) {
      if (!isHeld && performance.now() > nextTryAt) {
        nextTryAt = performance.now() + restoreAfterMs;
        isHeld = await hold(path, reserveBytes);
      }
      try {
        await write();
      } catch (error) {
        if (!isHeld || !isFull(error)) throw error;
        isHeld = false;
        nextTryAt = performance.now() + restoreAfterMs;
        await rm(path, { force: true });
        await write();
      }
    },
  };
}

/** Whether the room is had now. Blocks are only given for bytes that are written. */
async function hold(path: string, bytes: number): Promise<boolean> {
  try {
    await using file = await open(path, "w", 0o600);
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let at = 0; at < bytes; at += BLOCK_BYTES) await file.write(block, 0, Math.min(BLOCK_BYTES, bytes - at), at);
    return true;
  } catch (error) {
    await rm(path, { force: true });
    if (!isFull(error)) throw error;
    return false;
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
