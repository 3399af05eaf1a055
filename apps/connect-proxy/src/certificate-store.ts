// The edge's own key for TLS and the certificates that were issued for it, kept in its folder: known hosts are served
// while the api is down, also after a restart.
import type { KeyObject } from "node:crypto";
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import { z } from "zod";
import { MAX_CERTIFICATES } from "./edge-limits.ts";

/** One host's. */
export interface StoredCertificate {
  readonly pem: string;
  /** Milliseconds since the epoch, both. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

export interface CertificateStoreOptions {
  readonly stateDirectory: string;
  readonly logger: Logger;
}

const KEY_FILE = "tls-key.pem";
const CERTIFICATES_FILE = "certificates.json";
const WRITE_AFTER_MS = 500;

const file = z.object({ certificates: z.record(z.string(), z.string()) });

export class CertificateStore implements Disposable {
  readonly #options: CertificateStoreOptions;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** By host, those used least lately first. */
  readonly #certificates = new Map<string, StoredCertificate>();
  #writing: NodeJS.Timeout | undefined;

  /** Takes what is on disk; what is damaged there is made anew. */
  constructor(options: CertificateStoreOptions) {
    this.#options = options;
    const key = this.#readKey() ?? this.#makeKey();
    this.privateKey = key.export({ type: "pkcs8", format: "pem" }).toString();
    this.publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
    this.#readCertificates();
  }

  hosts(): Iterable<[host: string, certificate: StoredCertificate]> {
    return this.#certificates.entries();
  }

  /** A host's certificate, expired or not. */
  get(host: string): StoredCertificate | undefined {
    return this.#certificates.get(host);
  }

  /** Takes a certificate that was issued. Throws for one that is not for this host and this key, and now. */
  put(host: string, pem: string, nowMs: number): StoredCertificate {
    const certificate = checked(host, pem, this.publicKey);
    if (certificate.expiresAtMs <= nowMs) throw new Error(`the certificate for ${host} has expired already`);
    this.#certificates.delete(host);
    this.#certificates.set(host, certificate);
    if (this.#certificates.size > MAX_CERTIFICATES) {
      const [oldest] = this.#certificates.keys();
      if (oldest !== undefined) this.#certificates.delete(oldest);
    }
    this.#writeSoon();
    return certificate;
  }

  delete(host: string): void {
    if (this.#certificates.delete(host)) this.#writeSoon();
  }

  [Symbol.dispose](): void {
    if (this.#writing === undefined) return;
    clearTimeout(this.#writing);
    this.#write();
  }

  #writeSoon(): void {
    this.#writing ??= setTimeout(() => this.#write(), WRITE_AFTER_MS);
  }

  #write(): void {
    this.#writing = undefined;
    const certificates = Object.fromEntries([...this.#certificates].map(([host, { pem }]) => [host, pem]));
    try {
      this.#replace(CERTIFICATES_FILE, JSON.stringify({ certificates }));
    } catch (error) {
      this.#options.logger.warn({ err: error }, "certificates cannot be kept; a restart will ask for them again");
    }
  }

  #replace(name: string, content: string): void {
    const path = join(this.#options.stateDirectory, name);
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  #readKey(): KeyObject | undefined {
    try {
      const key = createPrivateKey(readFileSync(join(this.#options.stateDirectory, KEY_FILE), "utf8"));
      if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
      throw new Error("not a P-256 key");
    } catch (error) {
      if (!isMissing(error)) this.#options.logger.warn({ err: error }, "the key for TLS is damaged; making another");
      return undefined;
    }
  }

  #makeKey(): KeyObject {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#replace(KEY_FILE, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    return privateKey;
  }

  #readCertificates(): void {
    const path = join(this.#options.stateDirectory, CERTIFICATES_FILE);
    try {
      const { certificates } = file.parse(JSON.parse(readFileSync(path, "utf8")));
      for (const [host, pem] of Object.entries(certificates).slice(-MAX_CERTIFICATES)) {
        this.#certificates.set(host, checked(host, pem, this.publicKey));
      }
    } catch (error) {
      if (!isMissing(error)) this.#options.logger.warn({ err: error }, "stored certificates are damaged; asking again");
    }
  }
}

/** The platform's authority is trusted to sign, not to send what was asked for: a mix-up would serve a wrong name. */
function checked(host: string, pem: string, publicKey: Buffer): StoredCertificate {
  const certificate = new X509Certificate(pem);
  if (certificate.subjectAltName !== `DNS:${host}`) throw new Error(`the certificate is not for ${host} alone`);
  if (!certificate.publicKey.export({ type: "spki", format: "der" }).equals(publicKey)) {
    throw new Error(`the certificate for ${host} is for another key`);
  }
  return {
    pem,
    issuedAtMs: certificate.validFromDate.getTime(),
    expiresAtMs: certificate.validToDate.getTime(),
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
