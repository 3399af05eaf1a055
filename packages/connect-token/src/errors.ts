// The one error of this package. No message holds a token, a key or user data.

/**
 * What is wrong.
 *
 * Of a token or an assertion, from the first check to the last:
 * - `Malformed`: not one of ours in its one spelling.
 * - `UnknownKey`: signed, it says, by a key that is not in the set, or is there for something else.
 * - `BadSignature`
 * - `BadClaims`: signed, but not what an issuer of ours writes.
 * - `UnknownClaim`: restricted in a way that this verifier cannot check.
 * - `WrongIssuer`: of another platform. `WrongSandbox`, `WrongPort`: for another sandbox or port.
 * - `NotYetValid`, `Expired`, `Revoked`
 *
 * Of a request: `Ambiguous`, one carrier holds two different tokens.
 *
 * Of a caller: `InvalidArgument`, with the `field`. Of a published key set: `InvalidKeySet`.
 */
export type ConnectTokenErrorCode =
  | "Malformed"
  | "UnknownKey"
  | "BadSignature"
  | "BadClaims"
  | "UnknownClaim"
  | "WrongIssuer"
  | "WrongSandbox"
  | "WrongPort"
  | "NotYetValid"
  | "Expired"
  | "Revoked"
  | "Ambiguous"
  | "InvalidArgument"
  | "InvalidKeySet";

/** A connect token, assertion, carrier, argument or key set that is refused. */
export class ConnectTokenError extends Error {
  override readonly name = "ConnectTokenError";
  readonly code: ConnectTokenErrorCode;
  /** Path of the bad argument as the caller wrote it, for example `userMetadata.roles[0]`. */
  readonly field: string | undefined;

  constructor(code: ConnectTokenErrorCode, message: string, options: ErrorOptions & { readonly field?: string } = {}) {
    super(options.field === undefined ? message : `${options.field}: ${message}`, options);
    this.code = code;
    this.field = options.field;
  }
}

/** The error of an argument. */
export function invalidArgument(field: string, message: string): ConnectTokenError {
  return new ConnectTokenError("InvalidArgument", message, { field });
}
