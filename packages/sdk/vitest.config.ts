import type { ViteUserConfig } from "vitest/config";
import { unitTests } from "../../vitest.shared.ts";

const { test, ...rest } = unitTests();

// A loaded machine is slow, not wrong: what is polled for may take its time.
const config: ViteUserConfig = { ...rest, test: { ...test, expect: { poll: { timeout: 15_000 } } } };

export default config;
