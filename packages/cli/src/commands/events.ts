// `sallyport events`: what happened to a sandbox.
import type { SandboxEvent } from "@sallyport/sdk";
import type { Command } from "commander";
import { parseNumber } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { escapeText, toJsonLine, write } from "../output.ts";

interface EventsOptions {
  readonly follow?: boolean;
  readonly after?: number;
  readonly json?: boolean;
}

export function eventsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("events")
    .description("tell what happened to a sandbox, oldest first")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("-f, --follow", "go on until it has ended")
    .option("--after <number>", "only events after this one", parseNumber)
    .option("--json", "print JSON, one event to a line")
    .action(async (text: string, options: EventsOptions) => done(await events(context, text, options)));
}

async function events(context: CliContext, text: string, options: EventsOptions): Promise<number> {
  const { signal, stdout } = context;
  const { follow, after: afterSeq } = options;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  for await (const event of sandbox.events({ follow, afterSeq, signal })) {
    await write(stdout, `${options.json === true ? toJsonLine(event) : lineOf(event)}\n`);
  }
  return EXIT.ok;
}

const TYPE_COLUMNS = 14;

function lineOf({ seq, at, type, detail }: SandboxEvent): string {
  const text = JSON.stringify(detail);
  const cells = [String(seq).padStart(4), at.toISOString(), escapeText(type).padEnd(TYPE_COLUMNS), escapeText(text)];
  return (text === "{}" ? cells.slice(0, 3) : cells).join("  ").trimEnd();
}
