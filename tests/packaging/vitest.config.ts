import { endToEndTests } from "../../vitest.shared.ts";

export default endToEndTests({ globalSetup: ["src/installed.ts"], testTimeout: 120_000 });
