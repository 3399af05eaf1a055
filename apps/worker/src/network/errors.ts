// The one error of this room.

export type NetworkErrorCode =
  /** The kernel does not have the rules that were asked for; what was loaded before still holds. */
  | "RulesNotApplied"
  /** The rules handed in are no canonical rule data. */
  | "InvalidRules"
  /** The slot is not one that is handed out. */
  | "NoSuchSlot"
  /** No slot can be had: all are in use or at rest. */
  | "NoSlotLeft"
  /** The router, the uplink or the host's side could not be set up. */
  | "SetupFailed"
  /** The network was closed. */
  | "Closed";

export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The text of anything thrown, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
