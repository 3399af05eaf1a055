// What is pinned, and that nothing that differs from its pin is taken.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { checkMachine } from "../../../bootstrap/checks.js";
import { inputsHash } from "../../../bootstrap/install.js";
import { integrityOf } from "../../../bootstrap/pnpm.js";

const root = resolve(import.meta.dirname, "../../..");

describe("pins", () => {
  it("are of the pnpm that package.json names, for both architectures", async () => {
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { packageManager: string };
    const pins = JSON.parse(await readFile(join(root, "bootstrap", "pins.json"), "utf8")) as Record<
      string,
      { version: string; integrity: string }
    >;
    expect(Object.keys(pins).sort()).toEqual(["@pnpm/exe.linux-arm64", "@pnpm/exe.linux-x64"]);
    for (const { version, integrity } of Object.values(pins)) {
      expect(`pnpm@${version}`).toBe(manifest.packageManager);
      expect(integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
    }
  });

  it("Node is pinned by the lockfile, for both architectures", async () => {
    const lockfile = await readFile(join(root, "pnpm-lock.yaml"), "utf8");
    for (const arch of ["x64", "arm64"]) {
      expect(lockfile).toMatch(new RegExp(`node-linux-${arch}@24[^\\n]*:\\n    resolution: \\{integrity: sha512-`));
    }
  });

  it("integrity is the SHA-512 of the bytes", () => {
    const empty = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";
    expect(integrityOf(new Uint8Array())).toBe(empty);
    expect(integrityOf(new Uint8Array([0]))).not.toBe(empty);
  });
});

describe("checkMachine", () => {
  const good = { platform: "linux", arch: "x64", nodeVersion: "20.1.0", npmVersion: async () => "10.0.0" };

  it("accepts Node 20 on Linux", async () => {
    await expect(checkMachine(good)).resolves.toBeUndefined();
  });

  it("names everything that is wrong at once", async () => {
    const bad = { platform: "darwin", arch: "ia32", nodeVersion: "18.2.0", npmVersion: async () => undefined };
    await expect(checkMachine(bad)).rejects.toThrow(/darwin[\s\S]*ia32[\s\S]*Node 18\.2\.0[\s\S]*npm is not in PATH/);
  });
});

describe("inputsHash", () => {
  it("is the same for the same clone, and not for another", async () => {
    expect(await inputsHash(root)).toBe(await inputsHash(root));
    expect(await inputsHash(join(root, "tests"))).not.toBe(await inputsHash(root));
  });
});
