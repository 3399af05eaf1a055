// Time limits of many connections, looked at together: a request that is answered in time costs no timer of its own.

/** Something that has until a time. */
export interface Timed {
  /** By {@link Deadlines.nowMs}; Infinity: no limit now. */
  readonly deadlineMs: number;
  /** It is past. Called again at each look while it stays so. */
  onDeadline(): void;
}

export class Deadlines implements Disposable {
  readonly #timed = new Set<Timed>();
  readonly #timer: NodeJS.Timeout;

  /** Limits are kept to this many milliseconds. */
  constructor(tickMs: number) {
    this.#timer = setInterval(() => this.#look(), tickMs);
    this.#timer.unref();
  }

  /** Milliseconds of a clock that never goes back. */
  get nowMs(): number {
    return performance.now();
  }

  watch(one: Timed): void {
    this.#timed.add(one);
  }

  forget(one: Timed): void {
    this.#timed.delete(one);
  }

  #look(): void {
    const nowMs = this.nowMs;
    for (const one of this.#timed) if (one.deadlineMs <= nowMs) one.onDeadline();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timed.clear();
  }
}
