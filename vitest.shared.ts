// One place for how the house runs vitest: what is a unit test, what needs root, where reports go.
import type { ViteUserConfig } from "vitest/config";

/** Pure and socket tests: run anywhere, cached by turbo. */
export function unitTests(): ViteUserConfig {
  return suite("unit", { include: ["{src,test}/**/*.test.ts"], exclude: ["**/*.root.test.ts", "**/node_modules/**"] });
}

/** Tests that need root and the kernel: namespaces, nftables, runsc. One file at a time; never cached. */
export function rootTests(): ViteUserConfig {
  return suite("root", { include: ["{src,test}/**/*.root.test.ts"], fileParallelism: false, testTimeout: 60_000 });
}

function suite(name: string, test: NonNullable<ViteUserConfig["test"]>): ViteUserConfig {
  return {
    resolve: { conditions: ["@sallyport/source"] },
    ssr: { resolve: { conditions: ["@sallyport/source"], externalConditions: ["@sallyport/source"] } },
    test: {
      pool: "forks",
      testTimeout: 20_000,
      hookTimeout: 60_000,
      passWithNoTests: true,
      reporters: ["default", "json"],
      outputFile: { json: `reports/${name}.json` },
      ...test,
    },
  };
}
