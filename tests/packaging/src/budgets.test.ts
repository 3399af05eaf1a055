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

/** Packed sizes, sources and maps included. About a third above what they are (contracts 304, policy 55, connect-token 54, sdk 118, cli 149 KiB): room for features, none for an accident. */
const MAX_TARBALL_BYTES: Readonly<Record<PublicPackage, number>> = {
  contracts: 400 * KIB,
  policy: 74 * KIB,
  "connect-token": 72 * KIB,
  sdk: 155 * KIB,
  cli: 200 * KIB,
};
/** Minified, with everything it stands on: mostly gRPC and the generated messages. Now 594 KiB. */
const MAX_BUNDLE_BYTES = 700 * KIB;
/** The same, compressed. Now 143 KiB. */
const MAX_BUNDLE_GZIP_BYTES = 170 * KIB;
/** Files that `import "@sallyport/sdk"` reads: each costs a look-up and a parse at every start. Now 153. */
const MAX_MODULES = 180;
/** All that is parsed at import. Now 1,448 KiB, of which gRPC is 672 and the messages and stubs 503. */
const MAX_MODULE_BYTES = 1_750 * KIB;

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
    const { code, gzip } = await bundle('export * from "@sallyport/sdk";');
    expect(code).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
    expect(gzip).toBeLessThanOrEqual(MAX_BUNDLE_GZIP_BYTES);
  });

  it("leaves out what is not used", async () => {
    const { code } = await bundle('export { SallyportError } from "@sallyport/sdk";');
    expect(code).toBeLessThanOrEqual(8 * KIB);
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

async function bundle(source: string): Promise<{ code: number; gzip: number }> {
  const input = join(project, "bundle.mjs");
  writeFileSync(input, source);
  const build = await rolldown({ input, platform: "node", logLevel: "silent" });
  const { output } = await build.generate({ format: "esm", minify: true });
  await build.close();
  const chunks = output.map((file) => (file.type === "chunk" ? file.code : ""));
  const gzip = chunks.reduce((sum, code) => sum + gzipSync(code).length, 0);
  return { code: chunks.reduce((sum, code) => sum + Buffer.byteLength(code), 0), gzip };
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
