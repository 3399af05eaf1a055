// `sallyport logs`: what a process of a sandbox has written, as far as it is kept.
import type { OutputReadOptions } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { toJson, write } from "../output.ts";
import { forward } from "../stream.ts";

interface LogsOptions {
  readonly follow?: boolean;
  readonly stderr?: boolean;
  readonly json?: boolean;
}

type Gap = Parameters<NonNullable<OutputReadOptions["onGap"]>>[0];

export function logsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("logs")
    .description("print what a process has written, byte by byte, as far as it is kept")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("[process]", "a process, as `sallyport ps` names it", "entrypoint")
    .option("-f, --follow", "go on until it has ended")
    .option("--stderr", "its standard error instead")
    .option("--json", "print JSON at the end, the output as text within")
    .action(async (text: string, process: string, options: LogsOptions) =>
      done(await logs(context, text, process, options)),
    );
}

async function logs(context: CliContext, text: string, id: string, options: LogsOptions): Promise<number> {
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, context.signal);
  const stream = options.stderr === true ? "stderr" : "stdout";
  const gaps: Gap[] = [];
  const told: Promise<void>[] = [];
  const onGap = (gap: Gap) => {
    gaps.push(gap);
    if (options.json !== true) told.push(write(context.stderr, `sallyport: bytes ${gap.from} to ${gap.to} are gone\n`));
  };
  const output = sandbox.process(id)[stream].from(0, { follow: options.follow ?? false, onGap });
  if (options.json === true) {
    const body = { id: sandbox.id, process: id, stream, gaps, text: await output.text() };
    await write(context.stdout, `${toJson(body)}\n`);
  } else {
    await forward(output, context.stdout, context.signal);
    await Promise.all(told);
    context.signal.throwIfAborted();
  }
  return EXIT.ok;
}
