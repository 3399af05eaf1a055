import { endToEndTests } from "../../vitest.shared.ts";

/** Long, and needs root: the third lane. */
export default endToEndTests({
  include: ["test/**/*.soak.ts"],
  testTimeout: 1_800_000,
  outputFile: { json: "reports/soak.json" },
});
