// Pumps bytes between two streams until both directions end: with back-pressure, half-close, an idle limit and counts.
import type { Duplex } from "node:stream";

/** Why a relay ended. */
export type RelayEnd =
  /** Both sides ended their halves. */
  | "ended"
  /** One side broke; the other was cut. */
  | "broken"
  /** No byte went either way for the idle limit. */
  | "idle"
  /** The signal was aborted. */
  | "aborted";

export interface RelayResult {
  readonly end: RelayEnd;
  /** Bytes from the first stream to the second. */
  readonly forwardBytes: number;
  readonly backwardBytes: number;
}

export interface RelayOptions {
  readonly signal?: AbortSignal | undefined;
  /** No limit when unset. */
  readonly idleMs?: number | undefined;
}

/** Resolves when nothing more will flow; both streams are destroyed then. Never rejects. */
export async function relay(left: Duplex, right: Duplex, options: RelayOptions = {}): Promise<RelayResult> {
  const done = Promise.withResolvers<RelayEnd>();
  let lastByteMs = performance.now();
  const count = { forward: 0, backward: 0 };
  let openHalves = 2;
  const pump = (from: Duplex, to: Duplex, way: keyof typeof count) => {
    from.on("data", (chunk: Buffer) => {
      count[way] += chunk.length;
      lastByteMs = performance.now();
    });
    from.pipe(to);
    to.once("finish", () => {
      openHalves -= 1;
      if (openHalves === 0) done.resolve("ended");
    });
    from.once("error", () => done.resolve("broken"));
    from.once("close", () => {
      if (!from.readableEnded || !from.writableFinished) done.resolve("broken");
    });
    if (from.destroyed) done.resolve("broken");
  };
  pump(left, right, "forward");
  pump(right, left, "backward");
  const { idleMs, signal } = options;
  const idleTimer =
    idleMs === undefined
      ? undefined
      : setInterval(
          () => {
            if (performance.now() - lastByteMs >= idleMs) done.resolve("idle");
          },
          Math.max(10, idleMs / 4),
        );
  const onAbort = () => done.resolve("aborted");
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const end = await done.promise;
  clearInterval(idleTimer);
  signal?.removeEventListener("abort", onAbort);
  left.destroy();
  right.destroy();
  return { end, forwardBytes: count.forward, backwardBytes: count.backward };
}
