// Trust in an authority: what openssl and certutil print, and the refusal of one that could vouch for more than it says.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runOk } from "./command.ts";
import type { TrustOptions } from "./trust.ts";
import { homeOfUser, nicknamesIn, permittedNames, trustAuthority, untrustAuthorities } from "./trust.ts";

let root: string;
let options: TrustOptions;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "trust-"));
  options = { isRoot: false, userHome: root, path: root };
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A certificate as openssl makes it, with these extensions. */
async function certificate(...extensions: string[]): Promise<string> {
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test"];
  const added = extensions.flatMap((one) => ["-addext", one]);
  return (await runOk("openssl", [...args, "-keyout", join(root, "key.pem"), ...added])).stdout;
}

describe("name constraints", () => {
  it("are read as openssl prints them, and count only where they bind", () => {
    const text = `X509v3 Name Constraints: critical
    Permitted:
      DNS:localhost
      DNS:example.com
    Excluded:
      IP:0.0.0.0/0.0.0.0
      IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0
`;
    expect(permittedNames(text)).toEqual(["localhost", "example.com"]);
    for (const [from, to] of [
      [" critical", ""],
      ["      IP:0.0.0.0/0.0.0.0\n", ""],
      ["      IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0\n", ""],
      ["DNS:example.com", "email:example.com"],
      ["DNS:example.com", "DNS:"],
      ["Permitted:", "Excluded:"],
    ] as const) {
      expect(permittedNames(text.replace(from, to)), `${from} → ${to}`).toBeUndefined();
    }
    expect(permittedNames("No extensions matched in certificate\n")).toBeUndefined();
    expect(permittedNames("")).toBeUndefined();
  });
});

describe("an authority", () => {
  const NO_ADDRESS = "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0";
  const CONSTRAINED = `nameConstraints=critical,permitted;DNS:localhost,${NO_ADDRESS}`;

  it.each<[string, string[], string[]]>([
    ["without constraints", [], ["localhost"]],
    ["whose constraints may be passed over", [CONSTRAINED.replace("critical,", "")], ["localhost"]],
    ["that could vouch for addresses", ["nameConstraints=critical,permitted;DNS:localhost"], ["localhost"]],
    ["for more than it is said to be for", [CONSTRAINED.replace("DNS:", "DNS:com,permitted;DNS:")], ["localhost"]],
    ["for another domain", [CONSTRAINED.replace("DNS:localhost", "DNS:com")], ["localhost"]],
    ["for a whole top-level domain", [CONSTRAINED.replace("DNS:localhost", "DNS:com")], ["com"]],
    ["for no domain", [], []],
  ])("%s is refused, and nothing is changed", async (_, extensions, domains) => {
    const certificatePem = await certificate(...extensions);
    const trusted = trustAuthority({ certificatePem, domains }, options);
    await expect(trusted).rejects.toMatchObject({ code: "BadDownload" });
    expect(await readdir(root)).toEqual(["key.pem"]);
  });

  it("that is a host's certificate is refused", async () => {
    const certificatePem = await certificate(CONSTRAINED, "basicConstraints=critical,CA:FALSE");
    await expect(trustAuthority({ certificatePem, domains: ["localhost"] }, options)).rejects.toMatchObject({
      code: "BadDownload",
    });
  });

  it("that is bound is taken up where the caller may, and said where not", async () => {
    const authority = { certificatePem: await certificate(CONSTRAINED), domains: ["localhost"] };
    expect(await trustAuthority(authority, options)).toEqual([
      expect.objectContaining({ place: "/usr/local/share/ca-certificates", state: "skipped" }),
      expect.objectContaining({ place: root, state: "skipped" }),
    ]);
    expect(await untrustAuthorities(options)).toMatchObject([{ state: "skipped" }, { state: "skipped" }]);
  });
});

describe("stores", () => {
  it("of Chromium and Firefox are read by the names of ours", () => {
    const list = `
Certificate Nickname                                         Trust Attributes
                                                             SSL,S/MIME,JAR/XPI

Sallyport local authority 0123456789abcdef                   C,,
Sallyport local authority of somebody else                   C,,
Some other authority                                         CT,C,C
`;
    expect(nicknamesIn(list)).toEqual(["Sallyport local authority 0123456789abcdef"]);
  });

  it("are those of the user who is named", async () => {
    expect(await homeOfUser("root")).toBe("/root");
    await expect(homeOfUser("no-such-user")).rejects.toMatchObject({ code: "CommandFailed" });
  });
});
