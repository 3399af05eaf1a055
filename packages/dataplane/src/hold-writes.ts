// Writes of one turn of the event loop, held until it has read all that came.
import type { Writable } from "node:stream";

let held: Writable[] = [];

/**
 * Has a stream gather what is written to it until the end of this turn, in its order. What is held is lost with a stream
 * that is destroyed; `end` and `uncork` let it go.
 */
export function holdWrites(to: Writable): void {
  if (to.writableCorked > 0) return;
  to.cork();
  if (held.length === 0) setImmediate(release);
  held.push(to);
}

function release(): void {
  const streams = held;
  held = [];
  for (const stream of streams) stream.uncork();
}
