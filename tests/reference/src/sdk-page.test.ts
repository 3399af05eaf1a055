// The SDK's reference says what the SDK is.
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { SDK_PAGE, sdkPage } from "./sdk-page.ts";

it("is what the sources say; otherwise: pnpm run generate", { timeout: 120_000 }, async () => {
  const page = await sdkPage();
  expect((await readFile(SDK_PAGE, "utf8")) === page).toBe(true);
  for (const name of ["Client", "Sandbox", "SallyportError"]) expect(page).toContain(`### ${name}`);
});
