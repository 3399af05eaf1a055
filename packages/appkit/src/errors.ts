// The one error of our apps, and its translation to and from gRPC. Errors are translated at the border only.
import type { ServiceError as GrpcError, StatusObject } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { ErrorCode } from "@sallyport/contracts";
import {
  codeOfGrpcStatus,
  decodeStatusDetails,
  ERROR_CODES,
  encodeStatusDetails,
  isErrorCode,
  STATUS_DETAILS_KEY,
} from "@sallyport/contracts";
import type { Fault } from "@sallyport/contracts/json";

export interface AppErrorOptions {
  /** The field of the request that is at fault. */
  readonly field?: string | undefined;
  /** What would mend it. */
  readonly hint?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Kept for logs, never sent. */
  readonly cause?: unknown;
}

/** An error with a code of the closed set. Its message is shown to callers: it holds no secret. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.field = options.field;
    this.hint = options.hint;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a thrown thing is an AppError, of this code where one is given. */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** Shorthand for the most common refusal. */
export function invalidArgument(field: string, message: string, hint?: string): AppError {
  return new AppError("InvalidArgument", `${field}: ${message}`, { field, hint });
}

/** The refusal of a request that does not fit its schema. */
export function schemaRefusal({ field, reason }: Fault, cause?: unknown): AppError {
  return new AppError("InvalidArgument", field === undefined ? reason : `${field}: ${reason}`, { field, cause });
}

/** What goes to a gRPC caller. Anything that is not an AppError becomes Internal, and says nothing of its cause. */
export function toGrpcStatus(error: unknown, requestId: string): Partial<StatusObject> {
  const known = isAppError(error) ? error : new AppError("Internal", `internal error (request ${requestId})`);
  const metadata = new Metadata();
  metadata.set(
    STATUS_DETAILS_KEY,
    encodeStatusDetails(known.message, {
      code: known.code,
      field: known.field,
      hint: known.hint,
      requestId,
      retryable: ERROR_CODES[known.code].retryable,
      retryAfterMs: known.retryAfterMs,
    }),
  );
  return { code: ERROR_CODES[known.code].grpc, details: known.message, metadata };
}

/** What a peer of ours answered, as an AppError; anything else comes back as it is, made an Error. */
export function fromGrpcError(error: unknown): Error {
  if (!isGrpcError(error)) return error instanceof Error ? error : new Error(String(error));
  const bytes = error.metadata?.get(STATUS_DETAILS_KEY)[0];
  const detail = bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined;
  const code = detail !== undefined && isErrorCode(detail.code) ? detail.code : codeOfGrpcStatus(error.code);
  return new AppError(code, error.details, {
    field: detail?.field,
    hint: detail?.hint,
    retryAfterMs: detail?.retryAfterMs,
    cause: error,
  });
}

function isGrpcError(error: unknown): error is GrpcError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}
