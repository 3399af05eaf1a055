import { unitTests } from "../../vitest.shared.ts";

export default unitTests({ globalSetup: ["src/installed.ts"], testTimeout: 120_000, hookTimeout: 120_000 });
