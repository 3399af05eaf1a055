// Errors as RFC 9457 problem details: the border between our errors and HTTP.
import type { ErrorCode } from "@sallyport/contracts";
import { ERROR_CODES } from "@sallyport/contracts";
import { AppError, isAppError } from "../errors.ts";

/** The body of a refusal. */
export interface Problem {
  /** "urn:sallyport:error:" and the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly field?: string | undefined;
  readonly hint?: string | undefined;
  readonly requestId: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** A refusal whose status HTTP has a closer word for than the code's own. */
export class HttpRefusal extends AppError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: ErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(code, message);
    this.name = "HttpRefusal";
    this.status = status;
    this.headers = headers;
  }
}

/** What goes to an HTTP caller. Anything that is not an AppError becomes Internal, and says nothing of its cause. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = isAppError(error) ? error : new AppError("Internal", `internal error (request ${requestId})`);
  const { code, field, hint, retryAfterMs } = known;
  const { http, retryable } = ERROR_CODES[code];
  return {
    type: `urn:sallyport:error:${code}`,
    title: code.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
    status: known instanceof HttpRefusal ? known.status : http,
    detail: known.message,
    code,
    field,
    hint,
    requestId,
    retryable,
    retryAfterMs,
  };
}

/** Header fields of every answer. No CORS on purpose: a token for a workspace has no business in a browser's page. */
export function commonHeaders(requestId: string): Record<string, string> {
  return {
    "X-Request-Id": requestId,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  };
}

/** The whole answer of a refusal. */
export function problemResponse(error: unknown, requestId: string): Response {
  const problem = problemOf(error, requestId);
  const headers = { ...commonHeaders(requestId), "Content-Type": "application/problem+json" };
  return Response.json(problem, {
    status: problem.status,
    headers: { ...headers, ...refusalHeaders(problem), ...(error instanceof HttpRefusal ? error.headers : {}) },
  });
}

function refusalHeaders({ code, retryAfterMs }: Problem): Record<string, string> {
  return {
    ...(code === "Unauthenticated" ? { "WWW-Authenticate": 'Bearer realm="sallyport"' } : {}),
    ...(retryAfterMs === undefined ? {} : { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) }),
  };
}
