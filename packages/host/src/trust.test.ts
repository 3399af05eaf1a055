// Trust in an authority: what certutil prints, and what is done for a caller who may do little.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TrustOptions } from "./trust.ts";
import { homeOfUser, nicknamesIn, trustAuthority, untrustAuthorities } from "./trust.ts";

let root: string;
let options: TrustOptions;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "trust-"));
  options = { isRoot: false, userHome: root, path: root };
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe("an authority", () => {
  it("is taken up where the caller may, and said where not", async () => {
    const authority = { certificatePem: "PEM", fingerprint: "00".repeat(32), domain: "localhost" };
    expect(await trustAuthority(authority, options)).toEqual([
      expect.objectContaining({ place: "/usr/local/share/ca-certificates", state: "skipped" }),
      expect.objectContaining({ place: root, state: "skipped" }),
    ]);
    expect(await untrustAuthorities(options)).toMatchObject([{ state: "skipped" }, { state: "skipped" }]);
    expect(await readdir(root)).toEqual([]);
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
