// Riding out an outage: calls that bear repetition are made again until they succeed, are refused, or the peer has been
// away for too long.
import type { GrpcCallOptions } from "@sallyport/contracts/grpc";
import type { Scope } from "./scope.ts";
import type { Failure } from "./translate.ts";
import { readFailure } from "./translate.ts";

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000;
/** gRPC's deadline comes after the scope's, so that its failure is read as the scope's end and not as an outage. */
const CLOCK_SLACK_MS = 5;
/** A connection that broke after so long had worked; an answer that came after so long was no refusal at the door. */
const WORKED_MS = { broken: 1_000, answered: 15_000 } as const;

/** How long a peer may be away, in milliseconds. */
export const DEFAULT_OUTAGE_MS = 30_000;

export interface RetryLimits {
  /** Longest outage, asked for at each failure: a peer that was never there is given up sooner. */
  readonly outageMs: () => number;
  /** Longest single attempt. */
  readonly maxAttemptMs: number;
  /** Failures that another attempt would only meet again, though their code says otherwise. */
  readonly isFinal?: ((failure: Failure) => boolean) | undefined;
}

/** One attempt: passes its options to the stub, and remembers when the server took it up. */
export class Attempt {
  readonly scope: Scope;
  #headersAt: number | undefined;
  readonly #maxMs: number;

  constructor(scope: Scope, maxMs: number) {
    this.scope = scope;
    this.#maxMs = maxMs;
  }

  /** For callUnary and callServerStream. */
  get options(): GrpcCallOptions {
    const timeoutMs = Math.min(this.scope.remainingMs + CLOCK_SLACK_MS, this.#maxMs);
    return {
      signal: this.scope.signal,
      timeoutMs: Number.isFinite(timeoutMs) ? timeoutMs : undefined,
      onHeaders: () => {
        this.#headersAt = performance.now();
      },
    };
  }

  /** Whether the peer was there for this attempt, though it failed in the end. */
  worked(failure: Failure): boolean {
    if (this.#headersAt === undefined) return false;
    return performance.now() - this.#headersAt >= WORKED_MS[failure.answered ? "answered" : "broken"];
  }
}

/** The failures since the peer was last heard. */
export class Outage {
  readonly #limitMs: () => number;
  #since: number | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(limitMs: () => number) {
    this.#limitMs = limitMs;
  }

  /** The peer is there. */
  over(): void {
    this.#since = undefined;
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** Pauses before the next attempt; throws the failure's error when there shall be none. */
  async ride(failure: Failure, attempt: Attempt): Promise<void> {
    if (!failure.broken) throw failure.error;
    if (attempt.worked(failure)) this.over();
    const now = performance.now();
    this.#since ??= now;
    if (now - this.#since >= this.#limitMs()) throw failure.error;
    const ownPauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    const pauseMs = Math.max(ownPauseMs, failure.retryAfterMs ?? 0);
    this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS);
    await attempt.scope.pause(pauseMs, failure.error);
  }
}

/** Makes attempts until one succeeds. Throws what {@link Outage.ride} throws. Only for calls that bear repetition. */
export async function persist<T>(scope: Scope, limits: RetryLimits, run: (attempt: Attempt) => Promise<T>): Promise<T> {
  const outage = new Outage(limits.outageMs);
  for (;;) {
    scope.throwIfOver();
    const attempt = new Attempt(scope, limits.maxAttemptMs);
    try {
      return await run(attempt);
    } catch (error) {
      const failure = readFailure(error, scope);
      if (limits.isFinal?.(failure) === true) throw failure.error;
      await outage.ride(failure, attempt);
    }
  }
}
