// The platform's own certificate authority for its connect domain or its tunnel domain, where no public one vouches for it. It can vouch for
// nothing else (RFC 5280, 4.2.1.10), whoever trusts it, and for no other authority. Edges keep their keys to themselves.
import { createHash, createPublicKey, randomBytes, webcrypto } from "node:crypto";
// What the library's container needs, before the library.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { StoredAuthority } from "../store/authorities.ts";
import { findAuthority, insertAuthority, lockAuthorities } from "../store/authorities.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import type { MasterKey } from "./master-key.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/** Whoever trusts an authority does so by hand: seldom. */
const AUTHORITY_LIFE_MS = 10 * 365 * DAY_MS;
/** Another one is made so long before an authority's time is over. */
const AUTHORITY_REST_MS = 60 * DAY_MS;
const LEAF_LIFE_MS = 7 * DAY_MS;
/** Clocks of clients may be behind ours; within the life above. */
const BACKDATED_MS = 10 * 60 * 1_000;
const SERIAL_BYTES = 16;
const MAX_SPKI_BYTES = 256;
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

const NAME_CONSTRAINTS = "2.5.29.30";

/** A certificate of one host. */
export interface Leaf {
  readonly certificatePem: string;
  readonly expiresAt: Date;
}

/** What vouches for the hosts of a domain. */
export interface LocalAuthority {
  readonly domain: string;
  /** The authority's own certificate; undefined where public ones vouch for the domain. */
  certificate(): Promise<Pick<StoredAuthority, "certificatePem" | "fingerprint"> | undefined>;
  /** For the key of an edge: SubjectPublicKeyInfo in DER. Throws FailedPrecondition where public authorities vouch. */
  issue(request: { readonly host: string; readonly publicKey: Uint8Array }): Promise<Leaf>;
}

/** For a domain whose certificates come from elsewhere. */
export function foreignAuthority(domain: string): LocalAuthority {
  return {
    domain,
    certificate: () => Promise.resolve(undefined),
    issue() {
      const problem = `certificates of ${domain} do not come from the local authority`;
      return Promise.reject(new AppError("FailedPrecondition", problem, { hint: "the edge has files of its own" }));
    },
  };
}

/** Whose hosts an authority vouches for. */
export interface AuthorityScope {
  /** By which it is found again. */
  readonly name: string;
  readonly domain: string;
  /** What the first label of a host must be, and for people. */
  readonly isLabel: (label: string) => boolean;
  readonly labelRule: string;
}

interface AuthorityDeps {
  readonly db: Db;
  readonly master: Pick<MasterKey, "id" | "seal" | "open">;
  readonly clock: Clock;
}

interface Opened {
  readonly stored: StoredAuthority;
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

/** Opens the authority of this name that this master key sealed, or makes one. */
export async function openLocalAuthority(deps: AuthorityDeps, scope: AuthorityScope): Promise<LocalAuthority> {
  const { domain } = scope;
  let opened = await open(deps, scope);
  const current = async (): Promise<Opened> => {
    if (opened.stored.expiresAt.getTime() - deps.clock.now() < AUTHORITY_REST_MS) opened = await open(deps, scope);
    return opened;
  };
  return {
    domain,
    certificate: async () => (await current()).stored,
    async issue({ host, publicKey }) {
      checkHost(host, scope);
      checkPublicKey(publicKey);
      return issueLeaf(await current(), { host, publicKey, nowMs: deps.clock.now() });
    },
  };
}

async function open(deps: AuthorityDeps, { name, domain }: AuthorityScope): Promise<Opened> {
  const { db, master, clock } = deps;
  const goodUntil = new Date(clock.now() + AUTHORITY_REST_MS);
  const stored = await inTransaction(db, async (tx) => {
    await lockAuthorities(tx);
    const found = await findAuthority(tx, { name, masterKeyId: master.id, goodUntil });
    if (found !== undefined) return found;
    const made = await makeAuthority(deps, name, domain);
    await insertAuthority(tx, made);
    return made;
  });
  const pkcs8 = master.open(stored.sealedPrivateKey, contextOf(stored.fingerprint));
  const key = await webcrypto.subtle.importKey("pkcs8", pkcs8, P256, false, ["sign"]);
  return { stored, certificate: new x509.X509Certificate(stored.certificatePem), key };
}

async function makeAuthority({ master, clock }: AuthorityDeps, name: string, domain: string): Promise<StoredAuthority> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const nowMs = clock.now();
  const expiresAt = new Date(nowMs + AUTHORITY_LIFE_MS);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ O: ["Sallyport"] }, { CN: [`Sallyport local authority for ${domain}`] }],
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: expiresAt,
    signingAlgorithm: P256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.Extension(NAME_CONSTRAINTS, true, constrainedTo(domain)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const fingerprint = createHash("sha256").update(Buffer.from(certificate.rawData)).digest("hex");
  const pkcs8 = new Uint8Array(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    fingerprint,
    name,
    certificatePem: `${certificate.toString("pem").trim()}\n`,
    masterKeyId: master.id,
    sealedPrivateKey: master.seal(pkcs8, contextOf(fingerprint)),
    expiresAt,
  };
}

async function issueLeaf(
  { certificate, key, stored }: Opened,
  request: { readonly host: string; readonly publicKey: Uint8Array; readonly nowMs: number },
): Promise<Leaf> {
  const { host, nowMs } = request;
  const notBefore = new Date(nowMs - BACKDATED_MS);
  const expiresAt = new Date(Math.min(notBefore.getTime() + LEAF_LIFE_MS, stored.expiresAt.getTime()));
  const publicKey = new x509.PublicKey(Buffer.from(request.publicKey));
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    // No subject: the name in the extension, critical then, is all that counts (RFC 6125; RFC 5280, 4.2.1.6).
    subject: "",
    issuer: certificate.subject,
    notBefore,
    notAfter: expiresAt,
    signingAlgorithm: P256,
    publicKey,
    signingKey: key,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: host }], true),
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { certificatePem: `${leaf.toString("pem").trim()}\n`, expiresAt };
}

/** Whether it is there or not: a certificate tells strangers nothing of what exists. */
function checkHost(host: string, { domain, isLabel, labelRule }: AuthorityScope): void {
  const [label = "", ...rest] = host.split(".");
  if (isLabel(label) && rest.join(".") === domain) return;
  throw invalidArgument("host", `must be ${labelRule} and ".${domain}"`);
}

function checkPublicKey(publicKey: Uint8Array): void {
  if (publicKey.length <= MAX_SPKI_BYTES && isP256(publicKey)) return;
  throw invalidArgument("public_key", "must be a P-256 key as SubjectPublicKeyInfo in DER");
}

function isP256(publicKey: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") return false;
    // In its one spelling: what is signed is what was checked.
    return key.export({ format: "der", type: "spki" }).equals(publicKey);
  } catch {
    return false; // no key at all
  }
}

/**
 * Names below this one, and no address: a form that is not mentioned would be free (RFC 5280, 4.2.1.10). In DER:
 * SEQUENCE { permittedSubtrees [0] { SEQUENCE { dNSName [2] } }, excludedSubtrees [1] { SEQUENCE { iPAddress [7] } … } }
 */
function constrainedTo(domain: string): Uint8Array<ArrayBuffer> {
  const name = der(0x30, der(0x82, Buffer.from(domain, "ascii")));
  const addresses = [8, 32].map((bytes) => der(0x30, der(0x87, new Uint8Array(bytes)))); // 0.0.0.0/0, ::/0
  return der(0x30, der(0xa0, name), der(0xa1, ...addresses));
}

/** Short ones alone: the longest connect domain fits. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(parts);
  if (content.length > 0xff) throw new RangeError("more than 255 bytes");
  const length = content.length > 0x7f ? [0x81, content.length] : [content.length];
  return Uint8Array.from([tag, ...length, ...content]);
}

/** Positive, and nobody's guess. */
function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function contextOf(fingerprint: string): string {
  return `authority ${fingerprint}`;
}
