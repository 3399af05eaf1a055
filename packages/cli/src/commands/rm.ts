// `sallyport rm`: ends sandboxes.
import type { Client } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { ErrorReport } from "../errors.ts";
import { describeError, reportError } from "../errors.ts";
import { findSandbox } from "../find.ts";
import { toJson, write } from "../output.ts";

interface RmOptions {
  readonly json?: boolean;
}

interface Removed {
  readonly id: string;
  readonly error?: ErrorReport;
}

export function rmCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("rm")
    .description("end sandboxes and everything in them")
    .argument("<sandbox...>", "their ids, NAMEs or APP/NAMEs")
    .option("--json", "print JSON")
    .action(async (ids: string[], options: RmOptions) => done(await rm(context, ids, options)));
}

async function rm(context: CliContext, ids: readonly string[], options: RmOptions): Promise<number> {
  await using client = context.createClient();
  const results = await Promise.all(ids.map((id) => remove(context, client, id)));
  if (options.json === true) {
    await write(context.stdout, `${toJson(results.map(({ removed }) => removed))}\n`);
  } else {
    for (const { removed, error } of results) {
      if (error === undefined) await write(context.stdout, `${removed.id}\n`);
      else await write(context.stderr, describeError(error, false));
    }
  }
  return results.every(({ error }) => error === undefined) ? EXIT.ok : EXIT.failure;
}

async function remove(
  { signal }: CliContext,
  client: Client,
  text: string,
): Promise<{ removed: Removed; error?: unknown }> {
  let id = text;
  try {
    const sandbox = await findSandbox(client, text, signal);
    ({ id } = sandbox);
    await sandbox.terminate({ signal });
    return { removed: { id } };
  } catch (error) {
    return { removed: { id, error: reportError(error) }, error };
  }
}
