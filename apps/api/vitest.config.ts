import type { ViteUserConfig } from "vitest/config";
import { unitTests } from "../../vitest.shared.ts";

const config = unitTests();
const resolve = { conditions: ["@sallyport/source"], externalConditions: ["@sallyport/source"] };

/** One PostgreSQL for the whole run. Set-up files are loaded in an environment of their own, which must know our condition too. */
const withPostgres: ViteUserConfig = {
  ...config,
  environments: { __vitest__: { resolve } },
  test: { ...config.test, globalSetup: ["./test/postgres.ts"] },
};

export default withPostgres;
