// Peers that are gone while nobody reads what they sent: the kernel knows it, and tells nobody who does not look. A connection
// that back-pressure holds back would keep its place for as long as a sandbox reads nothing, long after its client.
import { Socket } from "node:net";
import type { ResetSide } from "./resets.ts";

export interface GonePeerOptions {
  /** {@link LOOK_EVERY_MS} when unset. */
  readonly everyMs?: number | undefined;
  /**
   * How long one may be held back whose other half has ended, in milliseconds: whether its peer is there cannot be told then.
   * No limit when unset.
   */
  readonly stuckMs?: number | undefined;
}

/** How often is looked, in milliseconds. */
const LOOK_EVERY_MS = 2_000;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Has a connection fail as if it were read, a look late, when its peer has reset it, or has closed all of it (of a Unix socket):
 * until it closes. What nobody has read of it is lost then, as of every reset. A half that has ended is no such end.
 */
export function noticeGonePeer(side: ResetSide, options: GonePeerOptions = {}): void {
  const { everyMs = LOOK_EVERY_MS, stuckMs } = options;
  const { stream } = side;
  if (stream.destroyed) return;
  let stuck = { sinceMs: 0, bytesRead: -1 };
  const timer = setInterval(() => {
    if (!stream.isPaused()) return; // the kernel tells whoever reads
    if (stream.writable) {
      probe(side);
      return;
    }
    const bytesRead = stream instanceof Socket ? stream.bytesRead : 0;
    if (bytesRead !== stuck.bytesRead) stuck = { sinceMs: performance.now(), bytesRead };
    else if (stuckMs !== undefined && performance.now() - stuck.sinceMs >= stuckMs) stream.destroy();
  }, everyMs);
  timer.unref();
  stream.once("close", () => clearInterval(timer));
}

/** An empty write fails where the connection has. Of TLS it has to be one of the connection below: it sends no byte either. */
function probe({ stream, transport }: ResetSide): void {
  if (stream.writableLength > 0) return; // whoever waits to write is told by the kernel, too
  (transport ?? stream).write(NOTHING, (error) => {
    if (error instanceof Error) stream.destroy(error); // TLS is not told why the connection below it closes
  });
}
