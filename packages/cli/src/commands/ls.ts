// `sallyport ls`: the sandboxes of the workspace.
import type { SandboxInfo } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { toAge, toJson, toTable, write } from "../output.ts";

interface LsOptions {
  readonly app?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

const SHOWN_COMMAND_CHARACTERS = 40;

export function lsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("ls")
    .description("list sandboxes, newest first")
    .option("--app <name>", "only this app's")
    .option("-a, --all", "ended ones too")
    .option("--json", "print JSON")
    .action(async (options: LsOptions) => done(await ls(context, options)));
}

async function ls(context: CliContext, options: LsOptions): Promise<number> {
  await using client = context.createClient();
  const list = Sandbox.list({ client, app: options.app, includeEnded: options.all, signal: context.signal });
  const sandboxes: SandboxInfo[] = [];
  for await (const sandbox of list) sandboxes.push(sandbox.info);
  const text = options.json === true ? toJson(sandboxes) : toTable(HEAD, sandboxes.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

const HEAD = ["ID", "APP", "STATE", "AGE", "CPU", "MEMORY", "NETWORK", "COMMAND"];

function rowOf(info: SandboxInfo): string[] {
  const { network, exitStatus } = info;
  const state = exitStatus === undefined ? info.state : `${exitStatus.reason} (${exitStatus.exitCode})`;
  const command = info.command?.join(" ") ?? "";
  return [
    info.id,
    info.app,
    info.unreachable ? `${state}, unreachable` : state,
    info.createdAt === undefined ? "" : toAge(Date.now() - info.createdAt.getTime()),
    String(info.cpu),
    `${info.memoryMiB} MiB`,
    typeof network === "object" ? `${network.allow.length} allowed` : (network ?? ""),
    command.length > SHOWN_COMMAND_CHARACTERS ? `${command.slice(0, SHOWN_COMMAND_CHARACTERS - 1)}…` : command,
  ];
}
