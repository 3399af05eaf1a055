// What the SDK costs those who install, bundle and import it, in bytes and modules, never in time.
import { execFile } from "node:child_process";
import { copyFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { beforeAll, describe, expect, inject, it } from "vitest";
import type { PublicPackage } from "./manifest.ts";

const run = promisify(execFile);
const { project, tarballs } = inject("installed");
const KIB = 1_024;

/** Packed sizes, sources and maps included. About a third above what they are (contracts 345, policy 57, connect-token 54, sdk 144, cli 161 KiB): room for features, none for an accident. */
const MAX_TARBALL_BYTES: Readonly<Record<PublicPackage, number>> = {
  contracts: 450 * KIB,
  policy: 76 * KIB,
  "connect-token": 72 * KIB,
  sdk: 190 * KIB,
  cli: 215 * KIB,
};
/** Minified, with all that is loaded at the start: mostly gRPC and the generated messages. Now 605 KiB. */
const MAX_BUNDLE_BYTES = 700 * KIB;
/** The same, compressed. Now 137 KiB. */
const MAX_BUNDLE_GZIP_BYTES = 170 * KIB;
/** What is loaded when it is first needed: undici for connect tokens, tar and ignore rules for images. Now 556 KiB. */
const MAX_LATER_BYTES = 680 * KIB;
/** The same, compressed. Now 171 KiB. */
const MAX_LATER_GZIP_BYTES = 210 * KIB;
/** Files that `import "@sallyport/sdk"` reads: each costs a look-up and a parse at every start. Now 161. */
const MAX_MODULES = 180;
/** All that is parsed at import. Now 1,588 KiB, of which gRPC is 672 and the messages and stubs 620. */
const MAX_MODULE_BYTES = 1_900 * KIB;

/** All that may be loaded by importing the SDK; whatever only some calls need is imported by them. */
const LOADED_PACKAGES = [
  "@bufbuild/protobuf",
  "@grpc/grpc-js",
  "@js-sdsl/ordered-map",
  "@sallyport/contracts",
  "@sallyport/policy",
  "@sallyport/sdk",
];

interface Loaded {
  readonly path: string;
  readonly bytes: number;
}

describe("the tarballs", () => {
  it.each(Object.entries(MAX_TARBALL_BYTES))("%s stays within its size", (name, max) => {
    expect(statSync(tarballs[name as PublicPackage]).size).toBeLessThanOrEqual(max);
  });
});

describe("a bundle", () => {
  it("stays within its size", async () => {
    const { start, later } = await bundle('export * from "@sallyport/sdk";');
    expect(start.code).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
    expect(start.gzip).toBeLessThanOrEqual(MAX_BUNDLE_GZIP_BYTES);
    expect(later.code).toBeLessThanOrEqual(MAX_LATER_BYTES);
    expect(later.gzip).toBeLessThanOrEqual(MAX_LATER_GZIP_BYTES);
  });

  it("leaves out what is not used", async () => {
    const { start, later } = await bundle('export { SallyportError } from "@sallyport/sdk";');
    expect(start.code).toBeLessThanOrEqual(8 * KIB);
    expect(later.code).toBe(0);
  });
});

describe("an import", () => {
  let loaded: readonly Loaded[];
  beforeAll(async () => {
    loaded = await loadedBy("@sallyport/sdk");
  });

  it("stays within its count and size", () => {
    expect(loaded.length).toBeLessThanOrEqual(MAX_MODULES);
    expect(loaded.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(MAX_MODULE_BYTES);
    // It did load: a hook that saw nothing would keep every budget.
    expect(loaded.some(({ path }) => path.endsWith("@sallyport/sdk/dist/index.js"))).toBe(true);
  });

  it("loads these packages and no other", () => {
    const packages = new Set(loaded.map(({ path }) => packageOf(path)));
    expect([...packages].filter((name) => !LOADED_PACKAGES.includes(name))).toEqual([]);
  });

  it("loads each package once", () => {
    const folders = new Map<string, Set<string>>();
    for (const { path } of loaded) {
      const name = packageOf(path);
      const folder = path.slice(0, path.lastIndexOf(`node_modules/${name}/`));
      folders.set(name, (folders.get(name) ?? new Set()).add(folder));
    }
    expect([...folders].filter(([, places]) => places.size !== 1)).toEqual([]);
  });

  it("loads built code alone", () => {
    expect(loaded.filter(({ path }) => path.endsWith(".ts"))).toEqual([]);
  });
});

interface Size {
  readonly code: number;
  readonly gzip: number;
}

/** What a program loads at its start, and what it may load later. Chunks that nothing leads to are never loaded. */
async function bundle(source: string): Promise<{ start: Size; later: Size }> {
  const input = join(project, "bundle.mjs");
  writeFileSync(input, source);
  const build = await rolldown({ input, platform: "node", logLevel: "silent" });
  const { output } = await build.generate({ format: "esm", minify: true });
  await build.close();
  const chunks = new Map(output.flatMap((file) => (file.type === "chunk" ? [[file.fileName, file] as const] : [])));
  const reach = (from: Iterable<string>, all: boolean) => {
    const reached = new Set(from);
    for (const name of reached) {
      const chunk = chunks.get(name);
      for (const next of [...(chunk?.imports ?? []), ...(all ? (chunk?.dynamicImports ?? []) : [])]) reached.add(next);
    }
    return reached;
  };
  const entry = [...chunks.values()].filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName);
  const atStart = reach(entry, false);
  const sizeOf = (names: ReadonlySet<string>): Size => {
    const texts = [...names].map((name) => chunks.get(name)?.code ?? "");
    const sum = (size: (text: string) => number) =>
      texts.reduce((total, text) => total + (text === "" ? 0 : size(text)), 0);
    return { code: sum((text) => Buffer.byteLength(text)), gzip: sum((text) => gzipSync(text).length) };
  };
  return {
    start: sizeOf(atStart),
    later: sizeOf(new Set([...reach(entry, true)].filter((name) => !atStart.has(name)))),
  };
}

async function loadedBy(specifier: string): Promise<readonly Loaded[]> {
  const name = "what-it-loads.js";
  copyFileSync(fileURLToPath(new URL(`./programs/${name}`, import.meta.url)), join(project, name));
  const { stdout } = await run(process.execPath, [name, specifier], { cwd: project, env: {} });
  const urls = JSON.parse(stdout) as readonly string[];
  return urls
    .filter((url) => url.startsWith("file:"))
    .map((url) => ({ path: fileURLToPath(url), bytes: statSync(new URL(url)).size }));
}

function packageOf(path: string): string {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? path;
}
