// A moment at which something happens, however far away, unless it is put off.
import type { Clock } from "@sallyport/appkit/clock";

/** Timers cannot wait longer than this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Deadline {
  readonly #clock: Pick<Clock, "now">;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Pick<Clock, "now">, onPassed: () => void) {
    this.#clock = clock;
    this.#onPassed = onPassed;
  }

  /** In milliseconds since the epoch, by the machine's clock; a moment that has passed is acted on soon. */
  set(at: number): void {
    this.clear();
    const leftMs = Math.max(0, at - this.#clock.now());
    this.#timer = setTimeout(
      () => {
        if (this.#clock.now() < at) this.set(at);
        else this.#onPassed();
      },
      Math.min(leftMs, MAX_TIMER_MS),
    );
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
