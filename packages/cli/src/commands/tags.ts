// `sallyport tags`: what the makers of a sandbox noted about it.
import type { Command } from "commander";
import { Option } from "commander";
import { parsePair } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { toJson, toTable, write } from "../output.ts";

interface TagsOptions {
  readonly clear?: boolean;
  readonly json?: boolean;
}

type Tags = Readonly<Record<string, string>>;

export function tagsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("tags")
    .description("show a sandbox's tags, or replace all of them")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("[key=value...]", "its tags from now on", parsePair)
    .addOption(new Option("--clear", "leave it without tags"))
    .option("--json", "print JSON")
    .action(async (text: string, wanted: Tags | undefined, options: TagsOptions) =>
      done(await tags(context, text, wanted, options)),
    );
}

async function tags(
  context: CliContext,
  text: string,
  wanted: Tags | undefined,
  options: TagsOptions,
): Promise<number> {
  // Without a value the parser hands over an empty list.
  const given = Array.isArray(wanted) ? undefined : wanted;
  if (options.clear === true && given !== undefined) {
    throw new CliError("Usage", "--clear and tags contradict each other");
  }
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const next = options.clear === true ? {} : given;
  if (next !== undefined) await sandbox.setTags(next, { signal });
  const shown = sandbox.info.tags;
  const table = toTable(["KEY", "VALUE"], Object.entries(shown));
  await write(context.stdout, `${options.json === true ? toJson(shown) : table}\n`);
  return EXIT.ok;
}
