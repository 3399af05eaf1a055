// A time limit of one step. `AbortSignal.timeout`, and with it all that waited for it, stays in memory until its time is
// over, however soon the step was done: of ten thousand connections that is what an edge would consist of.

/** Disposal forgets the time and the other signal. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;

  /** Its signal is aborted after so many milliseconds, with a `TimeoutError`, or with `outer`, for the same reason. */
  constructor(timeoutMs: number, outer?: AbortSignal) {
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new DOMException("The time is over", "TimeoutError"));
    }, timeoutMs);
    outer?.addEventListener("abort", this.#onOuter, { once: true });
    if (outer?.aborted) this.#onOuter();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onOuter);
  }

  readonly #onOuter = (): void => {
    clearTimeout(this.#timer);
    this.#controller.abort(this.#outer?.reason);
  };
}
