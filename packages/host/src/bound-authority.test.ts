// Which authorities are taken up: those that are bound as a platform's is, and nothing that only looks so.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBoundAuthority } from "./bound-authority.ts";
import { runOk } from "./command.ts";

const CA = "basicConstraints=critical,CA:TRUE,pathlen:0";
const USAGE = "keyUsage=critical,keyCertSign";
const PURPOSE = "extendedKeyUsage=serverAuth";
const NO_ADDRESS = "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0";
const NAMES = `nameConstraints=critical,permitted;DNS:localhost,${NO_ADDRESS}`;
const BOUND = [CA, USAGE, PURPOSE, NAMES];

let folder: string;
let good: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bound-"));
  good = await certificate(BOUND);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A certificate as openssl makes it, with these extensions. */
async function certificate(extensions: readonly string[]): Promise<string> {
  const config = join(folder, "openssl.cnf");
  // What openssl adds by itself would be there twice.
  const text = [
    "[req]",
    "distinguished_name=dn",
    "x509_extensions=v3",
    "prompt=no",
    "[dn]",
    "CN=test",
    "[v3]",
    ...extensions,
  ];
  await writeFile(config, `${text.join("\n")}\n`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", join(folder, "key.pem")];
  return (await runOk("openssl", ["req", "-x509", ...key, "-config", config])).stdout;
}

const replaced = (from: string, to: string) =>
  BOUND.map((one) => (one === from ? to : one)).filter((one) => one !== "");

/** DER, as openssl takes it. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length > 0x7f ? [0x81, content.length] : [content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
const dns = (name: string) => der(0x30, der(0x82, Buffer.from(name)));
const constraints = (...parts: readonly Buffer[]) =>
  `nameConstraints=critical,DER:${der(0x30, ...parts).toString("hex")}`;
const ADDRESSES = der(0xa1, ...[8, 32].map((size) => der(0x30, der(0x87, Buffer.alloc(size)))));

describe("an authority that is bound to its names", () => {
  it("is taken up, alone, and named by what it is", async () => {
    const { certificatePem, fingerprint, domain } = readBoundAuthority(`\n${good}\n`, "localhost");
    expect(certificatePem.trim()).toBe(good.trim());
    expect(domain).toBe("localhost");
    const { stdout } = await runOk("openssl", ["x509", "-noout", "-fingerprint", "-sha256"], { input: good });
    expect(stdout.trim().split("=")[1]?.replaceAll(":", "").toLowerCase()).toBe(fingerprint);
    const wide = await certificate(replaced(NAMES, NAMES.replace("localhost", "sandboxes.example.com")));
    expect(readBoundAuthority(wide, "sandboxes.example.com").domain).toBe("sandboxes.example.com");
  });
});

describe("any other", () => {
  // It prints as a bound one does, line by line.
  const printed = "localhost\nExcluded:\nIP:0.0.0.0/0.0.0.0\nIP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0";

  it.each<[string, readonly string[]]>([
    ["without constraints", replaced(NAMES, "")],
    ["whose constraints may be passed over", replaced(NAMES, NAMES.replace("critical,", ""))],
    ["that could vouch for addresses", replaced(NAMES, "nameConstraints=critical,permitted;DNS:localhost")],
    ["that could vouch for IPv6", replaced(NAMES, NAMES.replace(/,excluded;IP:0:0.*/, ""))],
    ["for one more domain", replaced(NAMES, NAMES.replace("DNS:", "DNS:com,permitted;DNS:"))],
    ["for another domain", replaced(NAMES, NAMES.replace("DNS:localhost", "DNS:com"))],
    ["for every name", replaced(NAMES, constraints(der(0xa0, dns("")), ADDRESSES))],
    ["for every name too", replaced(NAMES, constraints(der(0xa0, dns("localhost"), dns("")), ADDRESSES))],
    ["whose name prints as more lines", replaced(NAMES, constraints(der(0xa0, dns(printed), dns(""))))],
    ["whose name ends early", replaced(NAMES, constraints(der(0xa0, dns("localhost\0")), ADDRESSES))],
    ["that may make others", replaced(CA, "basicConstraints=critical,CA:TRUE")],
    ["that may make others of others", replaced(CA, "basicConstraints=critical,CA:TRUE,pathlen:1")],
    ["that is a host's certificate", replaced(CA, "basicConstraints=critical,CA:FALSE")],
    ["for all purposes", replaced(PURPOSE, "")],
    ["for one more purpose", replaced(PURPOSE, "extendedKeyUsage=serverAuth,codeSigning")],
    ["for one more use", replaced(USAGE, "keyUsage=critical,keyCertSign,digitalSignature")],
  ])("%s is refused", async (_, extensions) => {
    const pem = await certificate(extensions);
    expect(pem).toContain("BEGIN CERTIFICATE");
    expect(() => readBoundAuthority(pem, "localhost")).toThrow(expect.objectContaining({ code: "BadDownload" }));
  });

  it("that comes with another is refused, whichever is first", async () => {
    const evil = await certificate([CA]);
    const texts = [
      good + evil,
      evil + good,
      good + good,
      `${evil.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE")}${good}`,
    ];
    for (const text of [
      ...texts,
      `${good}junk`,
      `junk${good}`,
      `# a comment\n${good}`,
      good.replaceAll("\n", "\r"),
      "",
    ]) {
      expect(() => readBoundAuthority(text, "localhost")).toThrow(/not one certificate alone/);
    }
    const cut = good.replace(/\n[^\n]+\n-----END/, "\n-----END");
    expect(() => readBoundAuthority(cut, "localhost")).toThrow(/cannot be read/);
  });

  it("for what is no domain of anybody's own is refused", async () => {
    const com = await certificate(replaced(NAMES, NAMES.replace("DNS:localhost", "DNS:com")));
    expect(() => readBoundAuthority(com, "com")).toThrow(/top-level/);
    for (const domain of ["", ".", "localhost\n", "LOCALHOST", "*.localhost", `${"a".repeat(64)}.example`]) {
      expect(() => readBoundAuthority(good, domain), domain).toThrow(/no domain/);
    }
  });
});
