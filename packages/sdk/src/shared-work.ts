// Work that several calls wait for at once: done once, and given up when the last of them has left.
import { sdkError } from "./errors.ts";
import type { Scope } from "./scope.ts";

/** One piece of work. It begins at once. */
export class SharedWork<T> {
  readonly #givenUp = new AbortController();
  readonly #result: Promise<T>;
  #waiting = 0;
  #settled = false;

  constructor(run: (signal: AbortSignal) => Promise<T>) {
    this.#result = run(this.#givenUp.signal);
    const settle = () => {
      this.#settled = true;
    };
    this.#result.then(settle, settle);
  }

  /** Whether somebody new may join: it is neither done nor given up. */
  get isOpen(): boolean {
    return !this.#settled && !this.#givenUp.signal.aborted;
  }

  /** Its result, within the caller's own limits. */
  async waitFor(scope: Scope): Promise<T> {
    this.#waiting += 1;
    try {
      return await scope.waitFor(this.#result);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#settled) {
        this.#givenUp.abort(sdkError("Cancelled", "nobody waits for it any more"));
      }
    }
  }
}
