// `sallyport fs`: looks at the files of a sandbox.
import type { FileInfo } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { toJson, toTable, write } from "../output.ts";
import { parsePlace } from "../place.ts";

export function fsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("fs")
    .description("look at the files of a sandbox")
    .command("ls")
    .description("list a directory, or tell of a file")
    .argument("<place>", "SANDBOX:PATH")
    .option("--json", "print JSON")
    .action(async (place: string, options: { readonly json?: boolean }) => done(await ls(context, place, options)));
}

async function ls(context: CliContext, text: string, { json }: { readonly json?: boolean }): Promise<number> {
  const place = parsePlace(text);
  if (place === undefined) throw new CliError("Usage", "the place is SANDBOX:PATH");
  await using client = context.createClient();
  const { signal } = context;
  const { fs } = await Sandbox.fromId(place.id, { client, signal });
  const info = await fs.stat(place.path, { signal });
  const files = info.type === "directory" ? await fs.list(place.path, { signal }) : [info];
  await write(context.stdout, `${json === true ? toJson(files) : toTable(HEAD, files.map(rowOf))}\n`);
  return EXIT.ok;
}

const HEAD = ["TYPE", "MODE", "SIZE", "MODIFIED", "PATH"];

function rowOf({ mode, modifiedAt, path, size, type }: FileInfo): string[] {
  return [type, mode.toString(8).padStart(4, "0"), String(size), modifiedAt.toISOString(), path];
}
