// The edge's own key for TLS and the certificates that were issued for it, kept in its folder, a file per host: known hosts
// are served while the api is down, also after a restart.
import type { KeyObject } from "node:crypto";
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import { MAX_CERTIFICATES } from "./edge-limits.ts";
import { hostInLog } from "./log-text.ts";

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
const DIRECTORY = "certificates";
const SUFFIX = ".pem";
const MODE = 0o600;

export class CertificateStore implements AsyncDisposable {
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  readonly #logger: Logger;
  readonly #keyPath: string;
  readonly #directory: string;
  /** By host, the oldest first. */
  readonly #certificates = new Map<string, StoredCertificate>();
  /** Changes of the folder, one after the other. */
  #writing: Promise<void> = Promise.resolve();

  /** Takes what is on disk; what is damaged there is made anew. Throws when nothing can be kept there. */
  constructor({ logger, stateDirectory }: CertificateStoreOptions) {
    this.#logger = logger;
    this.#keyPath = join(stateDirectory, KEY_FILE);
    this.#directory = join(stateDirectory, DIRECTORY);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const key = this.#readKey() ?? this.#makeKey();
    this.privateKey = key.export({ type: "pkcs8", format: "pem" }).toString();
    this.publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
    for (const name of readdirSync(this.#directory)) this.#read(name);
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
    if (certificate.expiresAtMs <= nowMs) throw new Error(`the certificate for ${hostInLog(host)} has expired already`);
    this.#certificates.delete(host);
    this.#certificates.set(host, certificate);
    const path = this.#pathOf(host);
    this.#change(async () => {
      await writeFile(`${path}.new`, pem, { mode: MODE });
      await rename(`${path}.new`, path);
    });
    const [oldest] = this.#certificates.keys();
    if (this.#certificates.size > MAX_CERTIFICATES && oldest !== undefined) this.delete(oldest);
    return certificate;
  }

  delete(host: string): void {
    if (!this.#certificates.delete(host)) return;
    const path = this.#pathOf(host);
    this.#change(() => rm(path, { force: true }));
  }

  /** Resolves when the folder holds what this does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }

  #pathOf(host: string): string {
    return join(this.#directory, `${host}${SUFFIX}`);
  }

  #change(write: () => Promise<void>): void {
    this.#writing = this.#writing.then(write).catch((error: unknown) => {
      this.#logger.warn({ err: error }, "a certificate cannot be kept; a restart will ask for it again");
    });
  }

  #read(name: string): void {
    const path = join(this.#directory, name);
    const host = name.slice(0, -SUFFIX.length);
    try {
      if (!name.endsWith(SUFFIX) || this.#certificates.size >= MAX_CERTIFICATES) throw new Error("one too many");
      this.#certificates.set(host, checked(host, readFileSync(path, "utf8"), this.publicKey));
    } catch (error) {
      const fields = { err: error, host: hostInLog(host) };
      this.#logger.warn(fields, "a stored certificate is of no use; it is asked for again");
      rmSync(path, { force: true });
    }
  }

  #readKey(): KeyObject | undefined {
    try {
      const key = createPrivateKey(readFileSync(this.#keyPath, "utf8"));
      if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
      throw new Error("not a P-256 key");
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isMissing) this.#logger.warn({ err: error }, "the key for TLS is damaged; making another");
      return undefined;
    }
  }

  #makeKey(): KeyObject {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const fresh = `${this.#keyPath}.new`;
    writeFileSync(fresh, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: MODE });
    renameSync(fresh, this.#keyPath);
    return privateKey;
  }
}

/** The platform's authority is trusted to sign, not to send what was asked for: a mix-up would serve a wrong name. */
function checked(host: string, pem: string, publicKey: Buffer): StoredCertificate {
  const certificate = new X509Certificate(pem);
  if (certificate.subjectAltName !== `DNS:${host}`)
    throw new Error(`the certificate is not for ${hostInLog(host)} alone`);
  if (!certificate.publicKey.export({ type: "spki", format: "der" }).equals(publicKey)) {
    throw new Error(`the certificate for ${hostInLog(host)} is for another key`);
  }
  return {
    pem,
    issuedAtMs: certificate.validFromDate.getTime(),
    expiresAtMs: certificate.validToDate.getTime(),
  };
}
