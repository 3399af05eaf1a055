// One after the other: tasks that must not overlap.

export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the task after all earlier ones, however they ended. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.then(
      () => undefined,
      // The caller has the failure; the queue goes on.
      () => undefined,
    );
    return result;
  }
}
