import { endToEndTests } from "../../vitest.shared.ts";

export default endToEndTests({ globalSetup: ["src/one-platform.ts"], include: ["src/*faults.test.ts"] });
