// Where whatever needs a sandbox waits while it sleeps.
//
//              suspend                     resume
//   awake ───────────────► suspended ───────────────► awake
//
// Whoever comes while it is suspended asks for it to be woken, once, and waits.
import { AppError } from "@sallyport/appkit/errors";
import { Change } from "./wait.ts";

export interface SleepGateOptions {
  /** How long somebody waits at most. */
  readonly maxWaitMs: number;
  /** Somebody waits, where nobody did. */
  readonly onWanted: () => void;
}

export class SleepGate {
  readonly #options: SleepGateOptions;
  readonly #opened = new Change();
  #suspended = false;
  #waiting = 0;

  constructor(options: SleepGateOptions) {
    this.#options = options;
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  /** Whether somebody waits for it to be woken. */
  get wakeWanted(): boolean {
    return this.#suspended && this.#waiting > 0;
  }

  suspend(): void {
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    this.#opened.announce();
  }

  /** Resolves while it is awake. Rejects with Unavailable when nobody wakes it in time, or with the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    if (!this.#suspended) return;
    const tooLate = AbortSignal.timeout(this.#options.maxWaitMs);
    const either = AbortSignal.any([signal, tooLate]);
    this.#waiting += 1;
    try {
      if (this.#waiting === 1) this.#options.onWanted();
      while (this.#suspended) await this.#opened.next(either);
    } catch (error) {
      if (error !== tooLate.reason) throw error;
      throw new AppError("Unavailable", "the sandbox sleeps and could not be woken yet", { hint: "try again" });
    } finally {
      this.#waiting -= 1;
    }
  }
}
