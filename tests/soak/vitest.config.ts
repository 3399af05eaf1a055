import { endToEndTests } from "../../vitest.shared.ts";

export default endToEndTests({ testTimeout: 3_600_000 });
