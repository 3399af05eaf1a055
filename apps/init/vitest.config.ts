import type { ViteUserConfig } from "vitest/config";
import { unitTests } from "../../vitest.shared.ts";

const suite: ViteUserConfig = unitTests();

const config: ViteUserConfig = { ...suite, test: { ...suite.test, globalSetup: "test/build.ts" } };

export default config;
