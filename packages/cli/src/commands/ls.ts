// `sallyport ls`: the sandboxes of the workspace.
import type { SandboxInfo } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import { parsePair } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { shorten, toAge, toJson, toTable, write } from "../output.ts";

interface LsOptions {
  readonly app?: string;
  readonly name?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function lsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("ls")
    .description("list sandboxes, newest first")
    .option("--app <name>", "only this app's")
    .option("--name <name>", "only those of this name")
    .option("--tag <key=value>", "only those that carry this tag; may be repeated", parsePair)
    .option("-a, --all", "ended ones too")
    .option("--json", "print JSON")
    .action(async (options: LsOptions) => done(await ls(context, options)));
}

async function ls(context: CliContext, options: LsOptions): Promise<number> {
  await using client = context.createClient();
  const { app, name, tag: tags, all: includeEnded } = options;
  const list = Sandbox.list({ client, app, name, tags, includeEnded, signal: context.signal });
  const sandboxes: SandboxInfo[] = [];
  for await (const sandbox of list) sandboxes.push(sandbox.info);
  const text = options.json === true ? toJson(sandboxes) : toTable(HEAD, sandboxes.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

const HEAD = ["ID", "NAME", "APP", "STATE", "AGE", "CPU", "MEMORY", "NETWORK", "PORTS", "TAGS", "COMMAND"];

function rowOf(info: SandboxInfo): string[] {
  const { network, tags } = info;
  const pairs = Object.entries(tags).map(([key, value]) => (value === "" ? key : `${key}=${value}`));
  return [
    info.id,
    info.name ?? "",
    info.app,
    stateOf(info),
    info.createdAt === undefined ? "" : toAge(Date.now() - info.createdAt.getTime()),
    String(info.cpu),
    `${info.memoryMiB} MiB`,
    typeof network === "object" ? `${network.allow.length} allowed` : (network ?? ""),
    info.ports.map(({ port, kind }) => `${port}/${kind}`).join(","),
    shorten(pairs.join(",")),
    shorten(info.command?.join(" ") ?? ""),
  ];
}

function stateOf({ state, exitStatus, asleep, unreachable }: SandboxInfo): string {
  if (exitStatus !== undefined) return `${exitStatus.reason} (${exitStatus.exitCode})`;
  return [state, ...(asleep ? ["asleep"] : []), ...(unreachable ? ["unreachable"] : [])].join(", ");
}
