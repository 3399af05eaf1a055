import { endToEndTests } from "../../vitest.shared.ts";

/** What breaks things starts platforms of its own and takes minutes: the second lane, vitest.full.config.ts. */
export default endToEndTests({ globalSetup: ["src/one-platform.ts"], exclude: ["src/*faults.test.ts"] });
