// Who uses an instance: open connections, calls in flight, running execs. Each change between used and unused is told,
// use at once, its end only when it has lasted: whoever calls a thousand times a second makes no thousand tellings.
import type { Clock } from "@sallyport/appkit/clock";
import type { Activity } from "@sallyport/contracts";

export interface UseOptions {
  /** Whether an exec runs. */
  readonly runsExec: () => boolean;
  /** What {@link Use.activity} tells has changed. */
  readonly onFlip: () => void;
  /** How long it must be unused for that to be told. */
  readonly settleMs: number;
  readonly clock: Pick<Clock, "monotonicMs">;
}

export class Use implements Disposable {
  readonly #options: UseOptions;
  #connections = 0;
  #calls = 0;
  /** When something began or ended last. */
  #lastChangeMs: number;
  /** What was told last, and since when it holds. */
  #told = false;
  #toldSinceMs: number;
  #settling: NodeJS.Timeout | undefined;

  constructor(options: UseOptions) {
    this.#options = options;
    this.#lastChangeMs = options.clock.monotonicMs();
    this.#toldSinceMs = this.#lastChangeMs;
  }

  /** Whether anything uses it at this moment. */
  get busy(): boolean {
    return this.#connections > 0 || this.#calls > 0 || this.#options.runsExec();
  }

  /** What is told of it. */
  get activity(): Activity {
    const sinceMs = Math.max(0, Math.round(this.#options.clock.monotonicMs() - this.#toldSinceMs));
    return { busy: this.#told, sinceMs };
  }

  /** Counts a connection until the answer is called; undefined when there are that many already. */
  beginConnection(max: number): (() => void) | undefined {
    if (this.#connections >= max) return undefined;
    this.#connections += 1;
    return this.#begun(() => {
      this.#connections -= 1;
    });
  }

  /** Counts a call until the answer is called; undefined when there are that many already. */
  beginCall(max: number): (() => void) | undefined {
    if (this.#calls >= max) return undefined;
    this.#calls += 1;
    return this.#begun(() => {
      this.#calls -= 1;
    });
  }

  /** Something began or ended, or may have. */
  changed(): void {
    this.#lastChangeMs = this.#options.clock.monotonicMs();
    if (this.busy) this.#tell(true);
    else if (this.#told) this.#settle(this.#options.settleMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#settling);
  }

  #begun(end: () => void): () => void {
    this.changed();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      end();
      this.changed();
    };
  }

  #settle(ms: number): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      if (this.busy) return; // its end settles again
      const leftMs = this.#lastChangeMs + this.#options.settleMs - this.#options.clock.monotonicMs();
      if (leftMs > 0) this.#settle(Math.ceil(leftMs));
      else this.#tell(false);
    }, ms).unref();
  }

  #tell(busy: boolean): void {
    if (this.#told === busy) return;
    this.#told = busy;
    this.#toldSinceMs = this.#lastChangeMs;
    this.#options.onFlip();
  }
}
