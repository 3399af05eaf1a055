// Whether a certificate authority can vouch for the names of one domain and for nothing else. What it says may be anybody's
// word, and whoever is taken in trusts a stranger for every host: so nothing is interpreted. The parts that bind it have one
// form, the platform's, and are compared byte for byte.
import { X509Certificate } from "node:crypto";
import { HostError } from "./errors.ts";

/** An authority that is bound to one domain. */
export interface BoundAuthority {
  /** Its certificate, and no other: written anew from what was judged. */
  readonly certificatePem: string;
  /** SHA-256 of the certificate in DER, in hexadecimal. */
  readonly fingerprint: string;
  readonly domain: string;
}

const ONE_CERTIFICATE = /^\s*-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\s*$/;
const DOMAIN = /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** RFC 5280, 4.2.1: what binds it, by object identifier; in DER, as hexadecimal. */
const BASIC_CONSTRAINTS = { oid: "551d13", critical: true, value: "30060101ff020100" }; // a CA of hosts alone
const KEY_USAGE = { oid: "551d0f", critical: true, value: "03020204" }; // keyCertSign
const EXTENDED_KEY_USAGE = { oid: "551d25", critical: false, value: "300a06082b06010505070301" }; // serverAuth
const NAME_CONSTRAINTS = "551d1e";

/**
 * The authority of a text. Throws HostError `BadDownload` unless it is one certificate (PEM) of an authority that is bound
 * to this domain just as platforms bind theirs.
 */
export function readBoundAuthority(pem: string, domain: string): BoundAuthority {
  const refuse = (why: string, cause?: unknown): HostError =>
    new HostError("BadDownload", `this authority is not bound to ${JSON.stringify(domain)}: ${why}`, {
      hint: "nothing was changed: whoever has its key could pose as other hosts; ask whoever runs the platform",
      cause,
    });
  if (!DOMAIN.test(domain)) throw refuse("that is no domain");
  // A whole top-level domain is nobody's own; localhost is everybody's.
  if (domain !== "localhost" && !domain.includes(".")) throw refuse("that is a whole top-level domain");
  // A reader of this text would take up all that are in it.
  if (!ONE_CERTIFICATE.test(pem)) throw refuse("the text is not one certificate alone");
  let certificate: X509Certificate;
  let extensions: ReadonlyMap<string, Extension>;
  try {
    certificate = new X509Certificate(pem);
    extensions = readExtensions(certificate.raw);
  } catch (error) {
    throw refuse("it cannot be read", error);
  }
  const names = { oid: NAME_CONSTRAINTS, critical: true, value: constrainedTo(domain) };
  for (const { oid, critical, value } of [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, names]) {
    const found = extensions.get(oid);
    if (found?.value !== value || found.critical !== critical)
      throw refuse("it may vouch for more, or for other names");
  }
  return {
    certificatePem: certificate.toString(),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    domain,
  };
}

/**
 * Names below this one, and no address: a form that is not mentioned would be free (RFC 5280, 4.2.1.10). In DER:
 * SEQUENCE { permittedSubtrees [0] { SEQUENCE { dNSName [2] } }, excludedSubtrees [1] { SEQUENCE { iPAddress [7] } … } }
 */
function constrainedTo(domain: string): string {
  const name = der(0x30, der(0x82, Buffer.from(domain, "ascii")));
  const addresses = [8, 32].map((bytes) => der(0x30, der(0x87, Buffer.alloc(bytes)))); // 0.0.0.0/0, ::/0
  return der(0x30, der(0xa0, name), der(0xa1, ...addresses)).toString("hex");
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length > 0xff ? [0x82, content.length >> 8, content.length & 0xff] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...(content.length > 0x7f ? length : [content.length])]), content]);
}

interface Extension {
  readonly critical: boolean;
  /** In hexadecimal. */
  readonly value: string;
}

/** The extensions of a certificate in DER, by object identifier. Throws for what is no DER, or has one of them twice. */
function readExtensions(certificate: Buffer): ReadonlyMap<string, Extension> {
  const [whole, ...more] = readElements(certificate);
  const [tbs] = readElements(whole?.content ?? Buffer.alloc(0));
  const [wrapper, ...others] = readElements(tbs?.content ?? Buffer.alloc(0)).filter(({ tag }) => tag === 0xa3);
  const [list] = readElements(wrapper?.content ?? Buffer.alloc(0));
  if (more.length > 0 || others.length > 0 || list === undefined) throw new RangeError("no certificate of version 3");
  const found = new Map<string, Extension>();
  for (const { content } of readElements(list.content)) {
    const parts = readElements(content);
    const [oid, value] = [parts[0], parts.at(-1)];
    const critical = parts.length === 3 && parts[1]?.tag === 0x01 && parts[1].content.toString("hex") === "ff";
    if (oid?.tag !== 0x06 || value?.tag !== 0x04 || (parts.length !== 2 && !critical))
      throw new RangeError("no extension");
    const name = oid.content.toString("hex");
    if (found.has(name)) throw new RangeError("an extension twice");
    found.set(name, { critical, value: value.content.toString("hex") });
  }
  return found;
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** What stands one after the other, to the last byte: short tags, and lengths as short as can be (X.690, 10.1). */
function readElements(bytes: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at);
    const first = bytes.readUInt8(at + 1);
    const size = first > 0x80 ? first - 0x80 : 0;
    if (first === 0x80 || size > 3 || (tag & 0x1f) === 0x1f) throw new RangeError("no DER");
    const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
    if (size > 0 && length < Math.max(0x80, 2 ** (8 * (size - 1)))) throw new RangeError("no DER");
    const start = at + 2 + size;
    if (start + length > bytes.length) throw new RangeError("no DER");
    found.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
