import type { ViteUserConfig } from "vitest/config";
import { rootTests } from "../../vitest.shared.ts";

const suite: ViteUserConfig = rootTests();

const config: ViteUserConfig = { ...suite, test: { ...suite.test, globalSetup: "test/build.ts" } };

export default config;
