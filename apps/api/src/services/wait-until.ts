// Long polling: read, wait for a wake-up, read again, until there is an answer or the time is over.
import type { Clock } from "@sallyport/appkit/clock";
import type { WakeHub } from "./wake-hub.ts";

/** A wake-up may be lost with the connection that brings it, so everybody looks now and then. */
const LOOK_EVERY_MS = 2_000;

export interface WaitOptions {
  readonly hub: WakeHub;
  readonly clock: Clock;
  readonly topic: string;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** 2,000 ms when unset. */
  readonly lookEveryMs?: number;
}

/** What `read` answers as soon as it is not undefined; undefined once the time is over. */
export async function waitUntil<T>(options: WaitOptions, read: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = options.clock.monotonicMs() + options.waitMs;
  using subscription = options.hub.subscribe(options.topic);
  for (;;) {
    const found = await read();
    if (found !== undefined) return found;
    const leftMs = deadline - options.clock.monotonicMs();
    if (leftMs <= 0) return undefined;
    await subscription.next(Math.min(leftMs, options.lookEveryMs ?? LOOK_EVERY_MS), options.signal);
  }
}
