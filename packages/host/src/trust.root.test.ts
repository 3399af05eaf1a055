// Trust with the machine's own programs: the system's store in a folder of the test's, a browser's store of another user's.
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BoundAuthority } from "./bound-authority.ts";
import { run, runOk } from "./command.ts";
import type { TrustOptions } from "./trust.ts";
import { trustAuthority, untrustAuthorities } from "./trust.ts";

const NOBODY = 65_534;
let root: string;
let home: string;
let options: TrustOptions;
let authority: BoundAuthority;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "trust-"));
  home = await mkdtemp(join(tmpdir(), "trust-home-"));
  await chown(home, NOBODY, NOBODY);
  await mkdir(join(root, "to"));
  // A browser to be found: it is not started.
  await writeFile(join(root, "chromium"), "", { mode: 0o755 });
  const path = `${root}:/usr/sbin:/usr/bin:/sbin:/bin`;
  options = {
    isRoot: true,
    userHome: home,
    runAs: "nobody",
    path,
    systemStore: { from: join(root, "from"), to: join(root, "to") },
  };
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test"];
  const { stdout } = await runOk("openssl", [...made, "-keyout", join(root, "key.pem")]);
  authority = { certificatePem: stdout, fingerprint: "0123456789abcdef".repeat(4), domain: "localhost" };
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
  await rm(home, { recursive: true, force: true });
});

async function trusts(bundle: string): Promise<boolean> {
  return (await readFile(bundle, "utf8")).includes(authority.certificatePem.trim());
}

describe("an authority", () => {
  it("is taken up by system and browsers, twice as once, and out again", { timeout: 60_000 }, async () => {
    const store = join(home, ".pki/nssdb");
    const places = [
      expect.objectContaining({ place: join(root, "from"), state: "done" }),
      expect.objectContaining({ place: store, state: "done" }),
    ];
    expect(await trustAuthority(authority, options)).toEqual(places);
    expect(await trustAuthority(authority, options)).toEqual(places);
    const files = await readdir(join(root, "from"));
    expect(files).toEqual([expect.stringMatching(/^sallyport-[0-9a-f]{16}\.crt$/)]);
    const bundle = join(root, "to", "ca-certificates.crt");
    expect(await trusts(bundle)).toBe(true);
    expect((await stat(join(store, "cert9.db"))).uid).toBe(NOBODY);
    const listed = await run("certutil", ["-L", "-d", `sql:${store}`]);
    expect(listed.stdout.match(/^Sallyport local authority [0-9a-f]{16} +C,, *$/gm)).toHaveLength(1);
    expect(await untrustAuthorities(options)).toEqual(places);
    expect((await run("certutil", ["-L", "-d", `sql:${store}`])).stdout).not.toContain("Sallyport");
    expect(await trusts(bundle)).toBe(false);
  });
});
