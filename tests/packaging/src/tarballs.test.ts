// The tarballs of the public packages: what a registry would hand out.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { describe, expect, inject, it } from "vitest";
import type { PublicPackage } from "./manifest.ts";
import { PUBLIC_PACKAGES, readManifest, sourceFolder } from "./manifest.ts";

const { project, tarballs } = inject("installed");

/** Every door of a package; a new one is a promise to users, and is added here on purpose. */
const SUBPATHS: Readonly<Record<PublicPackage, readonly string[]>> = {
  contracts: [".", "./grpc", "./images", "./json", "./openapi"],
  policy: ["."],
  "connect-token": ["./issue", "./assertion", "./verify"],
  sdk: ["."],
  cli: ["."],
};

function folderOf(name: PublicPackage): string {
  return join(project, "node_modules", "@sallyport", name);
}

function filesOf(name: PublicPackage): readonly string[] {
  return readdirSync(folderOf(name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folderOf(name).length + 1));
}

describe.each(PUBLIC_PACKAGES)("@sallyport/%s", (name) => {
  it("has no complaint of publint", async () => {
    const { messages, pkg } = await publint({ pkgDir: folderOf(name), pack: false, strict: true, level: "warning" });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it("has types that resolve as the code does", async () => {
    const tarball = createPackageFromTarballData(new Uint8Array(readFileSync(tarballs[name])));
    const analysis = await checkPackage(tarball);
    if (!analysis.types) throw new Error(`${name} has no types`);
    // ESM alone, found by the exports map alone: what CommonJS makes of it is Node's require(esm), tested by running it.
    const asked = ["node16-esm", "bundler"];
    const problems = analysis.problems.filter(
      (problem) => !("resolutionKind" in problem) || asked.includes(problem.resolutionKind),
    );
    expect(problems).toEqual([]);
    expect(Object.keys(analysis.entrypoints).filter((path) => path !== "./package.json")).toEqual(SUBPATHS[name]);
  });

  it("opens the documented doors and no other", () => {
    const { exports = {} } = readManifest(folderOf(name));
    expect(Object.keys(exports)).toEqual(SUBPATHS[name]);
    const files = new Set(filesOf(name));
    for (const [door, conditions] of Object.entries(exports)) {
      // A condition that comes first wins: the types before the code, our own before both.
      expect(Object.keys(conditions), door).toEqual(["@sallyport/source", "types", "default"]);
      for (const target of Object.values(conditions)) expect(files, door).toContain(target.replace(/^\.\//, ""));
    }
  });

  it("ships what it needs and nothing of the workshop", () => {
    const files = filesOf(name);
    expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "LICENSE"]));
    const workshop = files.filter((file) =>
      /\.test\.|\/test\/|reports|\.turbo|tsconfig|vitest|\.tsbuildinfo/.test(file),
    );
    expect(workshop).toEqual([]);
    // Every map points at a source that is there.
    for (const file of files.filter((path) => path.endsWith(".map"))) {
      const { sources } = JSON.parse(readFileSync(join(folderOf(name), file), "utf8")) as { sources: string[] };
      for (const source of sources) expect(files).toContain(join(file, "..", source));
    }
  });

  it("says exact versions of what it stands on", () => {
    const { dependencies = {}, engines } = readManifest(folderOf(name));
    for (const [dependency, range] of Object.entries(dependencies)) {
      expect(range, dependency).toMatch(/^[\^~]?\d+\.\d+\.\d+(-[\w.]+)?$/);
    }
    expect(engines).toEqual({ node: ">=22.12" });
  });
});

describe("what is published", () => {
  it("stands on nothing that is not, the command excepted", () => {
    const missing = PUBLIC_PACKAGES.flatMap((name) =>
      Object.keys(readManifest(folderOf(name)).dependencies ?? {})
        .filter((dependency) => dependency.startsWith("@sallyport/"))
        .filter((dependency) => readManifest(sourceFolder(dependency.slice("@sallyport/".length))).private === true)
        .map((dependency) => `${name} on ${dependency}`),
    );
    // The release lays the command out with all it stands on; to be installed from a registry it would have to bundle these.
    expect(missing).toEqual(["cli on @sallyport/appkit", "cli on @sallyport/host"]);
  });
});
