// `sallyport sleep` and `sallyport wake`: freezes a sandbox by hand, and thaws it.
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { toJson, write } from "../output.ts";

interface SleepOptions {
  readonly json?: boolean;
}

export function sleepCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const add = (verb: "sleep" | "wake", description: string) =>
    program
      .command(verb)
      .description(description)
      .argument("<sandbox>", SANDBOX_ARGUMENT)
      .option("--json", "print JSON")
      .action(async (text: string, options: SleepOptions) => done(await set(context, verb, text, options)));
  add("sleep", "freeze a sandbox, whatever uses it, until it is used again");
  add("wake", "wake a sandbox that sleeps");
}

async function set(context: CliContext, verb: "sleep" | "wake", text: string, options: SleepOptions): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  await sandbox[verb]({ signal });
  const { id, asleep } = sandbox.info;
  await write(context.stdout, options.json === true ? `${toJson({ id, asleep })}\n` : `${id}\n`);
  return EXIT.ok;
}
