// Waiting for a change within this process. A subscription remembers a wake-up that came before it was waited for, so
// "subscribe, read, wait, read again" loses none.

/** One who waits for topics. Disposal ends it. */
export interface Subscription extends Disposable {
  /** Resolves at the next wake-up, at once if there was one meanwhile, or after `maxMs`. Rejects when the signal or the hub is aborted. */
  next(maxMs: number, signal: AbortSignal): Promise<void>;
}

/** Wakes those who wait in this process. */
export class WakeHub {
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #closed = new AbortController();

  wake(topic: string): void {
    for (const wake of this.#waiters.get(topic) ?? []) wake();
  }

  /** After wake-ups may have been missed: everybody looks again. */
  wakeAll(): void {
    for (const topic of this.#waiters.keys()) this.wake(topic);
  }

  /** Rejects all who wait, now and later, with this reason. */
  close(reason: Error): void {
    this.#closed.abort(reason);
  }

  /** To one topic or several. */
  subscribe(...topics: readonly string[]): Subscription {
    let woken = false;
    let resolveNext: (() => void) | undefined;
    const wake = () => {
      woken = true;
      resolveNext?.();
    };
    const leave = topics.map((topic) => this.#join(topic, wake));
    return {
      next: async (maxMs, signal) => {
        const either = AbortSignal.any([signal, this.#closed.signal]);
        either.throwIfAborted();
        if (!woken) {
          await new Promise<void>((resolve, reject) => {
            const settle = (end: () => void) => () => {
              clearTimeout(timer);
              either.removeEventListener("abort", onAbort);
              resolveNext = undefined;
              end();
            };
            const onAbort = settle(() => reject(either.reason as Error));
            resolveNext = settle(resolve);
            const timer = setTimeout(resolveNext, maxMs);
            either.addEventListener("abort", onAbort, { once: true });
          });
        }
        woken = false;
      },
      [Symbol.dispose]: () => {
        for (const end of leave) end();
      },
    };
  }

  #join(topic: string, wake: () => void): () => void {
    const waiters = this.#waiters.get(topic) ?? new Set();
    this.#waiters.set(topic, waiters.add(wake));
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(topic) === waiters) this.#waiters.delete(topic);
    };
  }
}
