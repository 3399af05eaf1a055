// Values that properties range over.

import fc from "fast-check";
import type { ConnectTokenRequest } from "../src/issue.ts";
import { MAX_LIFE_MS, MIN_LIFE_MS } from "../src/limits.ts";

const ID_CHARACTERS = "ABCXYZabcxyz0189-_";
export const id: fc.Arbitrary<string> = fc.string({
  unit: fc.constantFrom(...ID_CHARACTERS.split("")),
  minLength: 1,
  maxLength: 64,
});

/** JSON values with hostile texts, short enough to be user data. */
export const smallJson: fc.Arbitrary<unknown> = fc
  .jsonValue({ maxDepth: 3, stringUnit: "binary" })
  // What JSON cannot say in two ways: a zero has no sign in it.
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
  .filter((value) => JSON.stringify(value).replace(/[^\x20-\x7e]/g, "123456").length < 512);

export const request: fc.Arbitrary<ConnectTokenRequest> = fc.record(
  {
    id,
    sandboxId: id,
    workspaceId: id,
    port: fc.integer({ min: 1, max: 65_535 }),
    epoch: fc.nat(),
    expiresInMs: fc.integer({ min: MIN_LIFE_MS, max: MAX_LIFE_MS }),
    embed: fc.boolean(),
    userMetadata: smallJson as fc.Arbitrary<ConnectTokenRequest["userMetadata"]>,
  },
  { requiredKeys: ["id", "sandboxId", "workspaceId", "epoch"] },
);
