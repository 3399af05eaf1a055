// Tells the api what an edge acts on: the newest revision only, one call at a time.
import type { EdgeServiceClient } from "@sallyport/contracts/grpc";
import { callUnary } from "@sallyport/contracts/grpc";
import { ACKNOWLEDGE_MS } from "./limits.ts";

export interface AcknowledgerOptions {
  readonly client: EdgeServiceClient;
  readonly edgeId: string;
  /** Resolves when what was applied before is acted on. At once when unset. */
  readonly ready?: (() => Promise<void>) | undefined;
  /** A call that failed; the next heartbeat brings another one. */
  readonly onProblem: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  #next: number | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
  }

  tell(revision: number): void {
    this.#next = revision;
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
    });
  }

  /** Resolves when no call is under way. */
  async settled(): Promise<void> {
    await this.#telling;
  }

  async #tellAll(): Promise<void> {
    const { client, edgeId, onProblem, ready, signal } = this.#options;
    while (this.#next !== undefined && !signal.aborted) {
      const revision = this.#next;
      this.#next = undefined;
      try {
        await ready?.();
        await callUnary(client, client.acknowledgeRoutes, { edgeId, revision }, { signal, timeoutMs: ACKNOWLEDGE_MS });
      } catch (error) {
        if (!signal.aborted) onProblem(error);
      }
    }
  }
}
