// The closed set of error codes, with what each means on the wires of gRPC and HTTP. Knowledge as a table: below this
// file nobody switches on a code to find a status.

/** One of the closed set of codes. */
export type ErrorCode =
  | "InvalidArgument"
  | "Unauthenticated"
  | "PermissionDenied"
  | "NotFound"
  | "AlreadyExists"
  | "FailedPrecondition"
  | "ResourceExhausted"
  | "DeadlineExceeded"
  | "Cancelled"
  | "Unavailable"
  | "ImageBuildFailed"
  | "SandboxEnded"
  | "ProcessFailed"
  | "Internal";

/** What a code means on the wires. */
export interface CodeFacts {
  /** google.rpc.Code. */
  readonly grpc: number;
  readonly http: number;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
}

/** Every code, with its gRPC status (https://grpc.io/docs/guides/status-codes/) and its HTTP status. */
export const ERROR_CODES: Readonly<Record<ErrorCode, CodeFacts>> = {
  InvalidArgument: { grpc: 3, http: 400, retryable: false },
  Unauthenticated: { grpc: 16, http: 401, retryable: false },
  PermissionDenied: { grpc: 7, http: 403, retryable: false },
  NotFound: { grpc: 5, http: 404, retryable: false },
  AlreadyExists: { grpc: 6, http: 409, retryable: false },
  FailedPrecondition: { grpc: 9, http: 409, retryable: false },
  ResourceExhausted: { grpc: 8, http: 429, retryable: true },
  DeadlineExceeded: { grpc: 4, http: 504, retryable: true },
  Cancelled: { grpc: 1, http: 499, retryable: false },
  Unavailable: { grpc: 14, http: 503, retryable: true },
  ImageBuildFailed: { grpc: 9, http: 422, retryable: false },
  SandboxEnded: { grpc: 9, http: 410, retryable: false },
  ProcessFailed: { grpc: 9, http: 422, retryable: false },
  Internal: { grpc: 13, http: 500, retryable: false },
};

/** Whether a word from the wire is one of our codes. */
export function isErrorCode(word: string): word is ErrorCode {
  return Object.hasOwn(ERROR_CODES, word);
}

const BY_GRPC_STATUS: ReadonlyMap<number, ErrorCode> = new Map([
  [1, "Cancelled"],
  [3, "InvalidArgument"],
  [4, "DeadlineExceeded"],
  [5, "NotFound"],
  [6, "AlreadyExists"],
  [7, "PermissionDenied"],
  [8, "ResourceExhausted"],
  [9, "FailedPrecondition"],
  [14, "Unavailable"],
  [16, "Unauthenticated"],
]);

/** The code for a bare gRPC status, of a peer that sent no detail. Statuses outside the set are Internal. */
export function codeOfGrpcStatus(status: number): ErrorCode {
  return BY_GRPC_STATUS.get(status) ?? "Internal";
}
