// Small writes of one turn of the event loop, held until it has read all that came. A write wakes whoever waits at the other
// end, and one that sleeps costs more to wake than all else of a request: writes in a row wake it once.
import type { Writable } from "node:stream";
import { holdWrites } from "@sallyport/dataplane";

/** Writes as `write` does, in its order. What is held is lost with a stream that is destroyed; `end` and `uncork` let it go. */
export function writeSoon(to: Writable, bytes: Buffer | string, encoding: BufferEncoding = "utf8"): boolean {
  holdWrites(to);
  return typeof bytes === "string" ? to.write(bytes, encoding) : to.write(bytes);
}
