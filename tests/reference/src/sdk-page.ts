// docs/reference/sdk.md: what the SDK exports, with the words of its sources. TypeDoc reads them with a TypeScript of its
// own, for it does not know ours yet.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, LogLevel } from "typedoc";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Where the page is kept. */
export const SDK_PAGE: string = join(ROOT, "docs/reference/sdk.md");

/** The page as Markdown. Rejects when TypeDoc finds an error in the sources. */
export async function sdkPage(): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), "sallyport-reference-"));
  try {
    const options = {
      plugin: ["typedoc-plugin-markdown"],
      entryPoints: [join(ROOT, "packages/sdk/src/index.ts")],
      tsconfig: join(ROOT, "packages/sdk/tsconfig.json"),
      readme: "none",
      excludeInternal: true,
      excludePrivate: true,
      disableSources: true,
      hideGenerator: true,
      logLevel: LogLevel.Error,
      out,
      // Of the plugin:
      outputFileStrategy: "modules",
      hidePageHeader: true,
      hideBreadcrumbs: true,
      useCodeBlocks: true,
      parametersFormat: "table",
      propertiesFormat: "table",
      interfacePropertiesFormat: "table",
      enumMembersFormat: "table",
    };
    const app = await Application.bootstrapWithPlugins(options);
    const project = await app.convert();
    if (project === undefined || app.logger.hasErrors()) throw new Error("the SDK's sources cannot be read");
    await app.generateOutputs(project);
    const page = await readFile(join(out, "README.md"), "utf8");
    const [title, ...rest] = page.trimEnd().split("\n");
    const note = "Generated from `packages/sdk` by `pnpm run generate`; not to be edited.";
    return `${[title, "", note, ...rest].join("\n")}\n`;
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
