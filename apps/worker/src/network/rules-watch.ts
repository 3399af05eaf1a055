// Notices at once when the router's rules are not what we left, and holds the sandboxes until they are again.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { messageOf } from "./errors.ts";
import type { RouterRules } from "./rules.ts";

/** A look is one question to the kernel, however many slots there are. */
const INTERVAL_MS = 200;

export interface RulesWatchOptions {
  readonly rules: Pick<RouterRules, "intact" | "reload">;
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  /** 200 ms when unset. */
  readonly intervalMs?: number | undefined;
  /** The router's rules are gone, or cannot be read: sandboxes must stop until `onRulesRestored`. */
  readonly onRulesLost?: (() => Promise<void>) | undefined;
  readonly onRulesRestored?: (() => Promise<void>) | undefined;
}

export class RulesWatch implements AsyncDisposable {
  readonly #options: RulesWatchOptions;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  /** Sandboxes are held, or have been told to be. */
  #isHeld = false;

  constructor(options: RulesWatchOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { clock, intervalMs = INTERVAL_MS } = this.#options;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await clock.sleep(intervalMs, signal);
      } catch {
        return; // closed
      }
      await this.#look();
    }
  }

  /** Never rejects: what fails is tried again at the next look. */
  async #look(): Promise<void> {
    if (!this.#isHeld && (await this.#isIntact())) return;
    // Both at once: the rules may be back before every sandbox stands still.
    const [, restored] = await Promise.all([this.#hold(), this.#restore()]);
    if (!restored) return;
    try {
      await this.#options.onRulesRestored?.();
      this.#isHeld = false;
      this.#options.logger.warn({}, "router rules are back");
    } catch (error) {
      this.#options.logger.error({ error: messageOf(error) }, "sandboxes could not be let go on");
    }
  }

  /** Somebody who does not answer is asked twice: a helper that died is started again. */
  async #isIntact(): Promise<boolean> {
    try {
      return await this.#options.rules.intact();
    } catch {
      return await this.#isIntactNow();
    }
  }

  async #isIntactNow(): Promise<boolean> {
    try {
      return await this.#options.rules.intact();
    } catch (error) {
      this.#options.logger.warn({ error: messageOf(error) }, "router rules could not be read");
      return false;
    }
  }

  async #hold(): Promise<void> {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#options.logger.error({}, "router rules are gone");
    try {
      await this.#options.onRulesLost?.();
    } catch (error) {
      this.#options.logger.error({ error: messageOf(error) }, "not every sandbox could be stopped");
    }
  }

  async #restore(): Promise<boolean> {
    try {
      await this.#options.rules.reload();
      return true;
    } catch (error) {
      this.#options.logger.error({ error: messageOf(error) }, "router rules cannot be loaded; sandboxes are held");
      return false;
    }
  }

  /** Sandboxes that are held stay so: the next worker lets them go when the rules are there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the network is closed"));
    await this.#running;
  }
}
