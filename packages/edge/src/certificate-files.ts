// One certificate for all hosts below a domain, from files of the operator's: taken up again when they change.
import { X509Certificate } from "node:crypto";
import type { Stats } from "node:fs";
import { readFileSync, statSync } from "node:fs";
import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import type { Logger } from "@sallyport/appkit/logger";
import type { Certificates } from "./certificates.ts";
import { LOOK_AT_FILES_MS } from "./edge-limits.ts";
import { TLS_SETTINGS } from "./tls-settings.ts";

export interface CertificateFilesOptions {
  /** Chain (PEM), leaf first. */
  readonly chain: string;
  readonly key: string;
  /** Hosts are one label below it. */
  readonly domain: string;
  /** The setting that named the chain, for what is told of it. */
  readonly setting: string;
  readonly logger: Logger;
  /** {@link LOOK_AT_FILES_MS} when unset. */
  readonly lookEveryMs?: number | undefined;
}

/** Throws when the files are not there, do not belong together, or are not for hosts of the domain. */
export function certificatesFromFiles(options: CertificateFilesOptions): Certificates {
  const { logger, lookEveryMs = LOOK_AT_FILES_MS } = options;
  let seen = signatureOf(options);
  let context = read(options);
  const timer = setInterval(() => {
    try {
      const now = signatureOf(options);
      if (now === seen) return;
      context = read(options);
      seen = now;
      logger.info({ chain: options.chain }, "certificate files taken up");
    } catch (error) {
      // Half-written perhaps: the old one counts until they are sound.
      logger.warn({ err: error }, "certificate files cannot be used; the ones from before still are");
    }
  }, lookEveryMs);
  return {
    peek: () => context,
    contextFor: async () => context,
    [Symbol.asyncDispose]: async () => clearInterval(timer),
  };
}

function read({ chain, domain, key, setting }: CertificateFilesOptions): SecureContext {
  const cert = readFileSync(chain, "utf8");
  const leaf = new X509Certificate(cert);
  const host = `sb-${"0".repeat(26)}.${domain}`;
  if (leaf.checkHost(host, { subject: "never" }) === undefined) {
    throw new Error(`${setting}: the certificate is not for *.${domain}`);
  }
  return createSecureContext({ ...TLS_SETTINGS, cert, key: readFileSync(key, "utf8") });
}

/** Another text after each change: renewals write anew, or switch a link. */
function signatureOf({ chain, key }: CertificateFilesOptions): string {
  const one = ({ ino, mtimeMs, size }: Stats) => `${ino}:${size}:${mtimeMs}`;
  return `${one(statSync(chain))} ${one(statSync(key))}`;
}
