// Doorway: writes docs/reference/sdk.md.
import { writeFile } from "node:fs/promises";
import { SDK_PAGE, sdkPage } from "./sdk-page.ts";

await writeFile(SDK_PAGE, await sdkPage());
