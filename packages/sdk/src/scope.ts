// One call of a user: how long it may take and who may stop it. Everything that waits waits within a scope.
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "./client.ts";
import { SallyportError, sdkError } from "./errors.ts";

/** What every call takes. */
export interface CallOptions {
  /** Stops the call: it rejects with `Cancelled`, whose `cause` is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of this call in milliseconds, never of the sandbox; past it the call rejects with `DeadlineExceeded`. */
  readonly timeoutMs?: number | undefined;
  /** Default: one client for the program, from the environment or the profile file. */
  readonly client?: Client | undefined;
}

/** The longest that a timer of JavaScript can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The limits of one call. */
export class Scope {
  /** Aborted when the caller or an owner stops the call. Deadlines do not abort it. */
  readonly signal: AbortSignal;
  readonly #what: string;
  readonly #timeoutMs: number | undefined;
  readonly #endsAt: number;

  /**
   * `what` names the call in messages. `owners` are signals of whatever the call cannot outlive; a SallyportError as
   * their reason is thrown as it is.
   */
  constructor(what: string, options: CallOptions, owners: readonly AbortSignal[] = [], defaultTimeoutMs?: number) {
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    if (timeoutMs !== undefined && !(timeoutMs >= 0)) {
      throw sdkError("InvalidArgument", `timeoutMs: ${timeoutMs} is not a time`, { field: "timeoutMs" });
    }
    const signals = options.signal === undefined ? owners : [options.signal, ...owners];
    const [first, ...others] = signals;
    this.signal =
      first === undefined ? new AbortController().signal : others.length === 0 ? first : AbortSignal.any([...signals]);
    this.#what = what;
    this.#timeoutMs = timeoutMs;
    this.#endsAt = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  }

  /** Milliseconds until the deadline, at least 0; Infinity without one. */
  get remainingMs(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  /** Throws once the call is aborted or past its deadline. */
  throwIfOver(cause?: unknown): void {
    if (this.signal.aborted) throw this.abortError();
    if (this.remainingMs === 0) throw this.deadlineError(cause);
  }

  /** The error of an aborted call. */
  abortError(): SallyportError {
    const reason: unknown = this.signal.reason;
    return SallyportError.is(reason) ? reason : sdkError("Cancelled", `${this.#what} was cancelled`, { cause: reason });
  }

  /** The error of a call past its deadline. */
  deadlineError(cause?: unknown): SallyportError {
    const last = cause instanceof Error ? ` (last: ${cause.message})` : "";
    const message = `${this.#what} did not finish within ${this.#timeoutMs ?? 0} ms${last}`;
    return sdkError("DeadlineExceeded", message, { cause });
  }

  /** Waits so long, or until the call is over, and then throws. */
  async pause(ms: number, cause?: unknown): Promise<void> {
    this.throwIfOver(cause);
    try {
      await delay(Math.min(ms, this.remainingMs, MAX_TIMER_MS), undefined, { signal: this.signal });
    } catch {
      // Only the abort ends the delay early, and the line below tells of it.
    }
    this.throwIfOver(cause);
  }

  /** Waits for something that others share and that therefore goes on when this call is over. */
  async waitFor<T>(shared: Promise<T>): Promise<T> {
    this.throwIfOver();
    const done = new AbortController();
    const over = this.#throwOnceOver(done.signal);
    try {
      return await Promise.race([shared, over.then(() => shared)]);
    } finally {
      done.abort();
      over.catch(ignoreOutcome);
    }
  }

  /** Throws once the call is over; returns once `done`. */
  async #throwOnceOver(done: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.signal, done]);
    while (!done.aborted) {
      try {
        await delay(Math.min(Math.ceil(this.remainingMs), MAX_TIMER_MS), undefined, { signal });
      } catch {
        // Only an abort ends the delay early, and the lines around tell of it.
      }
      // A timer may fire up to a millisecond early, or at the longest it can wait: then the rest is waited for too.
      if (!done.aborted) this.throwIfOver();
    }
  }
}

function ignoreOutcome(): void {
  // The race is decided: nobody waits for the loser.
}
