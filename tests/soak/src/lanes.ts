// A load of so many calls a second, by lanes that each wait for theirs: one that is late is followed at once by the next.

/** What went wrong, in words; empty: nothing. */
export type Faults = string[];

export interface LanesOptions {
  readonly lanes: number;
  /** Of all lanes together. */
  readonly perSecond: number;
  /** Rejects with what went wrong. */
  readonly call: (lane: number) => Promise<void>;
  readonly faults: Faults;
}

export class Lanes {
  begun = 0;
  done = 0;
  #isOver = false;
  readonly #running: readonly Promise<void>[];

  constructor(options: LanesOptions) {
    this.#running = Array.from({ length: options.lanes }, (_, lane) => this.#run(lane, options));
  }

  /** Resolves when those that are under way are over. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #run(lane: number, { call, faults, lanes, perSecond }: LanesOptions): Promise<void> {
    const everyMs = (lanes * 1_000) / perSecond;
    let dueAt = performance.now() + (lane * everyMs) / lanes;
    while (!this.#isOver) {
      await pause(dueAt - performance.now());
      dueAt += everyMs;
      this.begun += 1;
      try {
        await call(lane);
        this.done += 1;
      } catch (error) {
        faults.push(error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error));
      }
    }
  }
}

export async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
