// What signs the certificates of a connect domain that no public authority vouches for.
import { callUnary } from "@sallyport/contracts/grpc";
import type { Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";

/** A certificate authority of the platform's own, which can vouch for its connect domain and for nothing else. */
export interface LocalAuthority {
  /** Its certificate (PEM). */
  readonly certificatePem: string;
  /** SHA-256 of the certificate in DER, in hexadecimal. */
  readonly fingerprint: string;
  /** Names that it may vouch for, and those below them. */
  readonly domains: readonly string[];
}

export async function getLocalAuthority(connections: Connections, scope: Scope): Promise<LocalAuthority> {
  const { certificatePem, fingerprint, domains } = await connections.callApi(scope, ({ admin }, call) =>
    callUnary(admin, admin.getLocalAuthority, {}, call),
  );
  return Object.freeze({ certificatePem, fingerprint, domains: Object.freeze([...domains]) });
}
