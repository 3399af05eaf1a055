// `sallyport registry`: what registries want to know before they hand out images.
import { text as readAll } from "node:stream/consumers";
import { Registry } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { escapeText, toAge, toJson, toTable, write } from "../output.ts";

interface LoginOptions {
  readonly username: string;
  readonly passwordStdin?: boolean;
}

export function registryCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const command = program.command("registry").description("credentials of registries, kept encrypted by the platform");
  command
    .command("login")
    .description("keep a credential, in place of the one before")
    .argument("<host>", "e.g. registry.example.com")
    .requiredOption("--username <name>", "who pulls")
    .option("--password-stdin", "read the password, or a token, from stdin: it is never an argument")
    .action(async (host: string, options: LoginOptions) => done(await login(context, host, options)));
  command
    .command("ls")
    .description("list credentials, without their passwords")
    .option("--json", "print JSON")
    .action(async (options: { readonly json?: boolean }) => done(await ls(context, options.json === true)));
  command
    .command("logout")
    .description("forget a credential")
    .argument("<host>", "the registry")
    .action(async (host: string) => done(await logout(context, host)));
}

async function login(context: CliContext, host: string, options: LoginOptions): Promise<number> {
  if (options.passwordStdin !== true) {
    throw new CliError("Usage", "--password-stdin is missing: a password is never an argument", {
      hint: `sallyport registry login ${escapeText(host)} --username ${escapeText(options.username)} --password-stdin <FILE`,
    });
  }
  const password = (await readAll(context.stdin)).replace(/\r?\n$/, "");
  await using client = context.createClient();
  const { username } = options;
  await Registry.login(host, { username, password }, { client, signal: context.signal });
  await write(context.stdout, `${escapeText(host)}\n`);
  return EXIT.ok;
}

async function ls(context: CliContext, json: boolean): Promise<number> {
  await using client = context.createClient();
  const credentials = await Registry.list({ client, signal: context.signal });
  const rows = credentials.map(({ registry, username, createdAt }) => [
    registry,
    username,
    createdAt === undefined ? "" : toAge(Date.now() - createdAt.getTime()),
  ]);
  await write(context.stdout, `${json ? toJson(credentials) : toTable(["REGISTRY", "USERNAME", "AGE"], rows)}\n`);
  return EXIT.ok;
}

async function logout(context: CliContext, host: string): Promise<number> {
  await using client = context.createClient();
  await Registry.logout(host, { client, signal: context.signal });
  await write(context.stdout, `${escapeText(host)}\n`);
  return EXIT.ok;
}
