// One place for how the house runs vitest: what is a unit test, what needs root, where reports go.
import type { ViteUserConfig } from "vitest/config";

/** How our packages' TypeScript sources are found with nothing built. */
const SOURCES = { conditions: ["@sallyport/source"], externalConditions: ["@sallyport/source"] };

/** Pure and socket tests: run anywhere, cached by turbo. */
export function unitTests(test: NonNullable<ViteUserConfig["test"]> = {}): ViteUserConfig {
  const exclude = ["**/*.root.test.ts", "**/*.full.test.ts", "**/node_modules/**"];
  return suite("unit", { include: ["{src,test}/**/*.test.ts"], exclude, ...test });
}

/** Those of the second lane: thousands of cases, or minutes of kills. One file at a time; never cached. */
export function fullTests(test: NonNullable<ViteUserConfig["test"]> = {}): ViteUserConfig {
  const include = ["{src,test}/**/*.full.test.ts"];
  return suite("full", { include, fileParallelism: false, testTimeout: 300_000, ...test });
}

/** Tests that need root and the kernel: namespaces, nftables, runsc. One file at a time; never cached. */
export function rootTests(): ViteUserConfig {
  return suite("root", { include: ["{src,test}/**/*.root.test.ts"], fileParallelism: false, testTimeout: 120_000 });
}

/** Tests of the whole platform: one file at a time, slow by nature. */
export function endToEndTests(test: NonNullable<ViteUserConfig["test"]>): ViteUserConfig {
  return suite("e2e", {
    include: ["src/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
    slowTestThreshold: 3_000,
    ...test,
  });
}

function suite(name: string, test: NonNullable<ViteUserConfig["test"]>): ViteUserConfig {
  return {
    resolve: { conditions: ["@sallyport/source"] },
    ssr: { resolve: SOURCES },
    // Set-up files of a whole run are loaded in an environment of their own, which must know our condition too.
    environments: { __vitest__: { resolve: SOURCES } },
    test: {
      pool: "forks",
      testTimeout: 60_000, // for what hangs: a busy machine takes several times as long as a free one
      hookTimeout: 120_000,
      passWithNoTests: true,
      reporters: ["default", "json"],
      outputFile: { json: `reports/${name}.json` },
      ...test,
    },
  };
}
