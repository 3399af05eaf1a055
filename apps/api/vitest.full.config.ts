import { fullTests } from "../../vitest.shared.ts";

export default fullTests({ globalSetup: ["./test/postgres.ts"] });
