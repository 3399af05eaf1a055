// `sallyport ps`: the processes of a sandbox.
import type { ProcessInfo } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { shorten, toAge, toJson, toTable, write } from "../output.ts";

export function psCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("ps")
    .description("list a sandbox's processes, running and ended; asking wakes a sandbox that sleeps")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("--json", "print JSON")
    .action(async (text: string, options: { readonly json?: boolean }) =>
      done(await ps(context, text, options.json === true)),
    );
}

async function ps(context: CliContext, text: string, json: boolean): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const processes = await sandbox.processes({ signal });
  await write(context.stdout, `${json ? toJson(processes) : toTable(HEAD, processes.map(rowOf))}\n`);
  return EXIT.ok;
}

const HEAD = ["ID", "STATE", "AGE", "TTY", "COMMAND"];

function rowOf({ id, command, startedAt, exitStatus, pty }: ProcessInfo): string[] {
  return [
    id,
    exitStatus === undefined ? "running" : `${exitStatus.reason} (${exitStatus.exitCode})`,
    startedAt === undefined ? "" : toAge(Date.now() - startedAt.getTime()),
    pty ? "yes" : "",
    shorten(command.join(" ")),
  ];
}
