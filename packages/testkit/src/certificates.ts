// A throwaway certificate authority, and certificates of hosts from it, for tests of TLS.
import type { webcrypto } from "node:crypto";
// What the library's container needs, before the library.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const HOUR_MS = 3_600_000;

/** What a TLS server takes, as PEM. */
export interface HostCertificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that nobody trusts yet. */
export interface Authority {
  /** Its certificate. */
  readonly pem: string;
  /** A certificate for these names, valid from an hour ago until the time given, else for an hour. */
  issue(names: readonly string[], until?: Date): Promise<HostCertificate>;
  /** The same as PEM for somebody else's key: P-256, SubjectPublicKeyInfo in DER. */
  certify(names: readonly string[], publicKey: Uint8Array, until?: Date): Promise<string>;
}

/** Makes one, in some milliseconds. */
export async function makeAuthority(name = "test authority"): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const leafFor = async (
    names: readonly string[],
    publicKey: webcrypto.CryptoKey,
    until = new Date(Date.now() + HOUR_MS),
  ) => {
    const leaf = await x509.X509CertificateGenerator.create({
      subject: "CN=test host",
      issuer: certificate.subject,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: until,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return leaf.toString("pem");
  };
  return {
    pem: certificate.toString("pem"),
    issue: async (names, until) => {
      const own = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const key = pkcs8(await crypto.subtle.exportKey("pkcs8", own.privateKey));
      return { cert: await leafFor(names, own.publicKey, until), key };
    },
    certify: async (names, publicKey, until) => {
      const key = await crypto.subtle.importKey("spki", Uint8Array.from(publicKey), ALGORITHM, true, ["verify"]);
      return leafFor(names, key, until);
    },
  };
}

function pkcs8(der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}
