// Errors of the fake platform, spelled on the wire as the real one spells them.
import type { ServiceError } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { ErrorCode } from "@sallyport/contracts";
import { ERROR_CODES, encodeStatusDetails, STATUS_DETAILS_KEY } from "@sallyport/contracts";

/** What a method is made to do instead of its work. */
export interface FakeFailure {
  readonly code: ErrorCode;
  readonly field?: string;
  readonly retryAfterMs?: number;
  /** The work is done first, and only the answer is lost. */
  readonly after?: boolean;
  /** In place of the coded answer: every connection is cut, or the call hangs until its caller cancels it. */
  readonly instead?: "cut" | "hang";
}

/** A failure as grpc-js sends it. */
export function wireError(failure: FakeFailure): ServiceError {
  const { code, field, retryAfterMs } = failure;
  const message = field === undefined ? `the fake platform says ${code}` : `${field}: the fake platform says ${code}`;
  const metadata = new Metadata();
  const detail = { code, field, retryAfterMs, requestId: "fake-request", retryable: ERROR_CODES[code].retryable };
  metadata.set(STATUS_DETAILS_KEY, encodeStatusDetails(message, detail));
  return Object.assign(new Error(message), { code: ERROR_CODES[code].grpc, details: message, metadata });
}
