import { unitTests } from "../../vitest.shared.ts";

// One PostgreSQL for the whole run, a database of its own for each file.
export default unitTests({ globalSetup: ["./test/postgres.ts"] });
