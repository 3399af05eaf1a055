// Which certificate a host is served with. Never a default one: a host without its own is not served.
import type { SecureContext } from "node:tls";

/** Why there is no certificate for a host now; the client may try again. */
export class CertificateUnavailable extends Error {
  readonly code = "CertificateUnavailable";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CertificateUnavailable";
  }
}

export interface Certificates extends AsyncDisposable {
  /** What is at hand for a host, in lower case, at once. */
  peek(host: string): SecureContext | undefined;
  /** The same, brought about if it must be. Rejects with {@link CertificateUnavailable}. */
  contextFor(host: string): Promise<SecureContext>;
}
