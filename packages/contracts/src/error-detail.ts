// How an error's machine-readable half goes into grpc-status-details-bin and comes out of it again.
import type { ErrorCode } from "./error-codes.ts";
import { ERROR_CODES } from "./error-codes.ts";
import { Status } from "./gen/google/rpc/status.ts";
import { ErrorDetail } from "./gen/sallyport/v1/error.ts";
import { ERROR_DETAIL_TYPE } from "./wire.ts";

/** The bytes of google.rpc.Status with one ErrorDetail. */
export function encodeStatusDetails(message: string, detail: ErrorDetail & { code: ErrorCode }): Buffer {
  const value = Buffer.from(ErrorDetail.encode(detail).finish());
  const status = { code: ERROR_CODES[detail.code].grpc, message, details: [{ typeUrl: ERROR_DETAIL_TYPE, value }] };
  return Buffer.from(Status.encode(status).finish());
}

/** The ErrorDetail within such bytes; undefined when there is none or the bytes are not ours. */
export function decodeStatusDetails(bytes: Uint8Array): ErrorDetail | undefined {
  try {
    const any = Status.decode(bytes).details.find((detail) => detail.typeUrl === ERROR_DETAIL_TYPE);
    return any === undefined ? undefined : ErrorDetail.decode(any.value);
  } catch {
    return undefined;
  }
}
