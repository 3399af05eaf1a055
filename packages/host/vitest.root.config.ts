import { rootTests } from "../../vitest.shared.ts";

export default rootTests();
