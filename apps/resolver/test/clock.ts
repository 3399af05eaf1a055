// A clock that a test moves.
import type { Clock } from "@sallyport/appkit/clock";

export class ManualClock implements Clock {
  #ms = 0;

  now(): number {
    return this.#ms;
  }

  monotonicMs(): number {
    return this.#ms;
  }

  sleep(): Promise<void> {
    return Promise.reject(new Error("nothing here sleeps"));
  }

  pass(ms: number): void {
    this.#ms += ms;
  }
}
