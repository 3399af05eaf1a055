import { endToEndTests } from "../../vitest.shared.ts";

export default endToEndTests({ testTimeout: 600_000 });
