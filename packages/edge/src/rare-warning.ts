// A warning that strangers can bring about: told now and then, with how often it was true meanwhile, so that nobody but the
// operator decides how long the log is.
import type { Logger } from "@sallyport/appkit/logger";

const EVERY_MS = 60_000;

export class RareWarning {
  readonly #logger: Logger;
  readonly #message: string;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(logger: Logger, message: string) {
    this.#logger = logger;
    this.#message = message;
  }

  tell(fields: object): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldAtMs < EVERY_MS) {
      this.#untold += 1;
      return;
    }
    this.#logger.warn({ ...fields, before: this.#untold }, this.#message);
    this.#toldAtMs = nowMs;
    this.#untold = 0;
  }
}
