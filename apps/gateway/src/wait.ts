// Waiting for a promise that knows nothing of cancellation.

/** The promise's outcome, or the signal's reason as soon as it is aborted. */
export async function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Something that changes now and then: whoever waits is woken at the next change. */
export class Change {
  #next = Promise.withResolvers<void>();

  announce(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Resolves at the next change; rejects with the signal's reason. */
  async next(signal: AbortSignal): Promise<void> {
    await withSignal(this.#next.promise, signal);
  }
}
