// Time limits of many connections, looked at together: a request that is answered in time costs no timer of its own.

/** Something that has until a time. */
export interface Timed {
  /** By {@link Deadlines.nowMs}; Infinity: no limit now. */
  readonly deadlineMs: number;
  /** It is past. Called again at each look while it stays so. */
  onDeadline(): void;
  /** Kept by {@link Deadlines}: the place among those watched. */
  watchedAt?: number | undefined;
}

export class Deadlines implements Disposable {
  /** No Set: as entries come and go by the request, its old tables would drag each other, and all they name, into old age. */
  readonly #timed: Timed[] = [];
  readonly #timer: NodeJS.Timeout;
  #roughMs = performance.now();
  #roughEpochMs = Date.now();

  /** Limits are kept to this many milliseconds. */
  constructor(tickMs: number) {
    this.#timer = setInterval(() => this.#look(), tickMs);
    this.#timer.unref();
  }

  /** Milliseconds of a clock that never goes back. */
  get nowMs(): number {
    return performance.now();
  }

  /** The same as of the last look: good enough for limits, and costs nothing. */
  get roughMs(): number {
    return this.#roughMs;
  }

  /** Milliseconds since the epoch, of the same look. */
  get roughEpochMs(): number {
    return this.#roughEpochMs;
  }

  watch(one: Timed): void {
    if (one.watchedAt !== undefined) return;
    one.watchedAt = this.#timed.length;
    this.#timed.push(one);
  }

  forget(one: Timed): void {
    const at = one.watchedAt;
    const last = this.#timed.at(-1);
    if (at === undefined || last === undefined) return;
    this.#timed[at] = last;
    last.watchedAt = at;
    this.#timed.pop();
    one.watchedAt = undefined;
  }

  /** From the end: who is forgotten meanwhile has its place taken by one that was looked at. */
  #look(): void {
    const nowMs = this.nowMs;
    this.#roughMs = nowMs;
    this.#roughEpochMs = Date.now();
    for (let at = this.#timed.length - 1; at >= 0; at -= 1) {
      const one = this.#timed[at];
      if (one !== undefined && one.deadlineMs <= nowMs) one.onDeadline();
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const one of this.#timed.splice(0)) one.watchedAt = undefined;
  }
}
