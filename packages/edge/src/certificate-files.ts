// One certificate for all hosts below a domain, from files of the operator's: taken up again when they change.
import { X509Certificate } from "node:crypto";
import type { Stats } from "node:fs";
import { readFileSync, statSync } from "node:fs";
import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import type { Logger } from "@sallyport/appkit/logger";
import type { Certificates } from "./certificates.ts";
import { LOOK_AT_FILES_MS, MAX_CONTEXTS } from "./edge-limits.ts";
import { LatestUsed } from "./latest-used.ts";
import type { TicketKeys } from "./ticket-keys.ts";
import { NO_TICKETS, TLS_SETTINGS } from "./tls-settings.ts";

export interface CertificateFilesOptions {
  /** Chain (PEM), leaf first. */
  readonly chain: string;
  readonly key: string;
  /** Hosts are one label below it. */
  readonly domain: string;
  /** The setting that named the chain, for what is told of it. */
  readonly setting: string;
  /** Of others no sessions are resumed, so that whoever invents names displaces nobody else's. All are when unset. */
  readonly isKnown?: ((host: string) => boolean) | undefined;
  /** Unset: sessions are resumed within one process, as long as a context lives. */
  readonly tickets?: TicketKeys | undefined;
  readonly logger: Logger;
  /** {@link LOOK_AT_FILES_MS} when unset. */
  readonly lookEveryMs?: number | undefined;
}

/** The files' contents, checked, and a context for hosts that are not known. */
interface Material {
  readonly cert: string;
  readonly key: string;
  readonly stranger: SecureContext;
}

/** Throws when the files are not there, do not belong together, or are not for hosts of the domain. */
export function certificatesFromFiles(options: CertificateFilesOptions): Certificates {
  const { isKnown = () => true, logger, lookEveryMs = LOOK_AT_FILES_MS, tickets } = options;
  // Of one certificate, but a context for each host: the sessions of one are not to be resumed at another.
  const contexts = new LatestUsed<SecureContext>(MAX_CONTEXTS);
  let seen = signatureOf(options);
  let material = read(options);
  const timer = setInterval(() => {
    try {
      const now = signatureOf(options);
      if (now === seen) return;
      material = read(options);
      contexts.clear();
      seen = now;
      logger.info({ chain: options.chain }, "certificate files taken up");
    } catch (error) {
      // Half-written perhaps: the old one counts until they are sound.
      logger.warn({ err: error }, "certificate files cannot be used; the ones from before still are");
    }
  }, lookEveryMs);
  const turns = tickets?.onTurn(() => contexts.clear());
  const contextOf = (host: string): SecureContext => {
    tickets?.turn();
    if (!isKnown(host)) return material.stranger;
    const found = contexts.get(host);
    if (found !== undefined) return found;
    const { cert, key } = material;
    const context = createSecureContext({ ...TLS_SETTINGS, ...tickets?.settingsFor(host), cert, key });
    contexts.set(host, context);
    return context;
  };
  return {
    peek: contextOf,
    contextFor: async (host) => contextOf(host),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      turns?.[Symbol.dispose]();
    },
  };
}

function read({ chain, domain, key: keyPath, setting }: CertificateFilesOptions): Material {
  const cert = readFileSync(chain, "utf8");
  const leaf = new X509Certificate(cert);
  const host = `sb-${"0".repeat(26)}.${domain}`;
  if (leaf.checkHost(host, { subject: "never" }) === undefined) {
    throw new Error(`${setting}: the certificate is not for *.${domain}`);
  }
  const key = readFileSync(keyPath, "utf8");
  return { cert, key, stranger: createSecureContext({ ...TLS_SETTINGS, ...NO_TICKETS, cert, key }) };
}

/** Another text after each change: renewals write anew, or switch a link. */
function signatureOf({ chain, key }: CertificateFilesOptions): string {
  const one = ({ ino, mtimeMs, size }: Stats) => `${ino}:${size}:${mtimeMs}`;
  return `${one(statSync(chain))} ${one(statSync(key))}`;
}
