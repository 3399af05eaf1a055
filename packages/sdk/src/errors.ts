// The one error of the SDK: a closed set of literal codes, recognised across copies of the package.
import type { ErrorCode } from "@sallyport/contracts";
import { ERROR_CODES } from "@sallyport/contracts";
import type { RunResult } from "./exit-status.ts";

export type { ErrorCode } from "@sallyport/contracts";

/** A brand instead of `instanceof`: two copies of the package in one program share it. */
const BRAND: unique symbol = Symbol.for("sallyport.sdk.error");
const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** What an error is made of, beside its code and message. */
export interface ErrorFacts {
  readonly field?: string | undefined;
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
  readonly result?: RunResult | undefined;
}

let construct: <C extends ErrorCode>(code: C, message: string, facts: ErrorFacts) => SallyportError<C>;

/**
 * What every function of the SDK throws. Compare `code`, or use {@link SallyportError.is}; messages are for people and
 * may change. Printing it shows code, field and hint, and never a token.
 */
export class SallyportError<C extends ErrorCode = ErrorCode> extends Error {
  static {
    construct = (code, message, facts) => new SallyportError(code, message, facts);
  }

  /** What went wrong, as one of a closed set. */
  readonly code: C;
  /** The option at fault, as it is spelled in this SDK, e.g. `network.allow[2]`. */
  readonly field: string | undefined;
  /** What would mend it. */
  readonly hint: string | undefined;
  /** Names the call in the logs of the platform. */
  readonly requestId: string | undefined;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
  /** When to try again, in milliseconds, where the platform knows. */
  readonly retryAfterMs: number | undefined;
  /** Of `ProcessFailed`: the exit status and the collected output. */
  readonly result: C extends "ProcessFailed" ? RunResult : undefined;

  private constructor(code: C, message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.field = facts.field;
    this.hint = facts.hint;
    this.requestId = facts.requestId;
    this.retryable = ERROR_CODES[code].retryable;
    this.retryAfterMs = facts.retryAfterMs;
    this.result = facts.result as C extends "ProcessFailed" ? RunResult : undefined;
    Object.defineProperty(this, "name", { value: "SallyportError", enumerable: false });
    Object.defineProperty(this, BRAND, { value: true, enumerable: false });
    Object.defineProperty(this, INSPECT, { value: () => describe(this), enumerable: false });
  }

  /** Whether a thrown thing is such an error, of this code where one is given. Holds across two copies of the package. */
  static is<C extends ErrorCode = ErrorCode>(error: unknown, code?: C): error is SallyportError<C> {
    if (typeof error !== "object" || error === null || !(BRAND in error) || !("code" in error)) return false;
    return code === undefined || error.code === code;
  }

  override toString(): string {
    const field = this.field === undefined ? "" : ` (field: ${this.field})`;
    const hint = this.hint === undefined ? "" : `; hint: ${this.hint}`;
    return `${this.name} [${this.code}]: ${this.message}${field}${hint}`;
  }
}

/** Makes an error; the constructor is private so that codes come from here and from the wire alone. */
export function sdkError<C extends ErrorCode>(code: C, message: string, facts: ErrorFacts = {}): SallyportError<C> {
  return construct(code, message, facts);
}

function describe(error: SallyportError): string {
  const stack = (error.stack ?? "").split("\n");
  // The message may have several lines; frames begin after it.
  const frames = stack.filter((line) => /^\s+at /.test(line));
  const rows = [`${error.name} [${error.code}]: ${error.message}`, ...frames];
  if (error.field !== undefined) rows.push(`  field: ${error.field}`);
  if (error.hint !== undefined) rows.push(`  hint: ${error.hint}`);
  if (error.requestId !== undefined) rows.push(`  request: ${error.requestId}`);
  if (error.cause instanceof Error) rows.push(`  cause: ${error.cause.message}`);
  return rows.join("\n");
}
