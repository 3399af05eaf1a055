// `sallyport connect-token`: grants to talk HTTP or WebSocket to one port of a sandbox.
import { writeFile } from "node:fs/promises";
import type { ConnectToken, ConnectTokenInfo, Json, Revocation } from "@sallyport/sdk";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { parseDuration, parseNumber } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { escapeText, toAge, toJson, toTable, write } from "../output.ts";

interface CreateOptions {
  readonly port?: number;
  readonly userMetadata?: { readonly value: Json };
  readonly expiresIn?: number;
  readonly embed?: boolean;
  readonly headerFile?: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

interface RevokeOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

export function connectTokenCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const command = program
    .command("connect-token")
    .alias("token")
    .description("grants to talk HTTP or WebSocket to one port of a sandbox");
  command
    .command("create")
    .description("make one; it is shown this once")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("--port <number>", "the port that it opens (default: 8080)", parseNumber)
    .option("--user-metadata <json>", "what the app gets as X-Verified-User-Data", parseJson)
    .option("--expires-in <time>", "its life, e.g. 90s, 10m, 2h (default: 1h)", parseDuration)
    .option("--embed", "its cookies work inside frames of other sites")
    .addOption(
      new Option(
        "--header-file <path>",
        "write the header that curl takes into this new file instead of showing the token",
      ).conflicts(["quiet", "json"]),
    )
    .addOption(new Option("-q, --quiet", "print the token alone").conflicts("json"))
    .option("--json", "print JSON")
    .action(async (text: string, options: CreateOptions) => done(await create(context, text, options)));
  command
    .command("list")
    .description("list a sandbox's tokens that have not expired; not the tokens themselves, which nobody keeps")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("--json", "print JSON")
    .action(async (text: string, options: { json?: boolean }) => done(await list(context, text, options)));
  command
    .command("revoke")
    .description("end one before its time, or all that a sandbox has; waits until the proxies refuse it")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("[id]", "ct-...")
    .option("--all", "all of them")
    .option("--json", "print JSON")
    .action(async (text: string, id: string | undefined, options: RevokeOptions) =>
      done(await revoke(context, text, id, options)),
    );
}

/** In a box: commander takes a bare value such as `false` or `null` for none. */
function parseJson(text: string): { value: Json } {
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    throw new InvalidArgumentError('It must be JSON, e.g. \'{"user_id":"foo"}\'.');
  }
}

async function create(context: CliContext, text: string, options: CreateOptions): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const { port, userMetadata, expiresIn: expiresInMs, embed } = options;
  const token = await sandbox.createConnectToken({
    userMetadata: userMetadata?.value,
    port,
    expiresInMs,
    embed,
    signal,
  });
  if (options.json === true) {
    const { id, url, expiresAt, warnings, caPem } = token;
    await write(context.stdout, `${toJson({ id, url, token: token.token, expiresAt, warnings, caPem })}\n`);
    return EXIT.ok;
  }
  for (const warning of token.warnings) await write(context.stderr, `warning: ${escapeText(warning)}\n`);
  if (options.quiet === true) {
    await write(context.stdout, `${token.token}\n`);
    return EXIT.ok;
  }
  if (options.headerFile !== undefined) await writeHeader(options.headerFile, token.token);
  await write(context.stdout, `${describe(token, options.headerFile).join("\n")}\n`);
  return EXIT.ok;
}

/** A new file, so that no earlier one's readers get it. */
async function writeHeader(path: string, token: string): Promise<void> {
  try {
    await writeFile(path, `Authorization: Bearer ${token}\n`, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    throw new CliError("Failed", `cannot make the file ${path}`, { hint: "it must not be there yet", cause });
  }
}

/** No line of it puts the token into the arguments of a process or into a URL, where others would see it. */
function describe(token: ConnectToken, headerFile: string | undefined): readonly string[] {
  const expiry = `${token.expiresAt.toISOString()} (in ${toAge(token.expiresAt.getTime() - Date.now())})`;
  const rows = [`id       ${token.id}`, `url      ${token.url}`, `expires  ${expiry}`];
  const ca = token.caPem === undefined ? "" : "--cacert sallyport-ca.pem ";
  const trust = token.caPem === undefined ? [] : ["  sallyport ca print > sallyport-ca.pem"];
  if (headerFile !== undefined) {
    return [
      ...rows,
      `header   ${escapeText(headerFile)}`,
      "",
      ...trust,
      `  curl ${ca}-H @${quoted(headerFile)} ${token.url}/`,
    ];
  }
  return [
    ...rows,
    `token    ${token.token}`,
    "",
    "It is shown this once; whoever has it may use the port. To try it, with the token pasted after the first line:",
    "  read -rs CONNECT_TOKEN",
    ...trust,
    `  printf 'Authorization: Bearer %s\\n' "$CONNECT_TOKEN" | curl ${ca}-H @- ${token.url}/`,
  ];
}

/** As one word of a shell. */
function quoted(text: string): string {
  const shown = escapeText(text);
  return /^[\w./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

async function list(context: CliContext, text: string, options: { json?: boolean }): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const tokens = await sandbox.connectTokens({ signal });
  const table = toTable(["ID", "PORT", "CREATED", "STATE"], tokens.map(rowOf));
  await write(context.stdout, `${options.json === true ? toJson(tokens) : table}\n`);
  return EXIT.ok;
}

function rowOf({ id, port, createdAt, expiresAt, revokedAt }: ConnectTokenInfo): string[] {
  const rest = `expires in ${toAge(expiresAt.getTime() - Date.now())}`;
  const state = revokedAt === undefined ? rest : `revoked ${revokedAt.toISOString()}`;
  return [id, String(port), createdAt.toISOString(), state];
}

async function revoke(
  context: CliContext,
  text: string,
  id: string | undefined,
  options: RevokeOptions,
): Promise<number> {
  if ((id === undefined) !== (options.all === true)) {
    throw new CliError("Usage", "name one token, or all", {
      hint: "sallyport connect-token revoke SANDBOX ct-...|--all",
    });
  }
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const { staleEdges }: Revocation =
    id === undefined ? await sandbox.revokeConnectTokens({ signal }) : await sandbox.revokeConnectToken(id, { signal });
  if (options.json === true) {
    await write(
      context.stdout,
      `${toJson({ ...(id === undefined ? {} : { id }), sandbox: sandbox.id, staleEdges })}\n`,
    );
    return EXIT.ok;
  }
  await write(context.stdout, `${escapeText(id ?? sandbox.id)}\n`);
  if (staleEdges.length > 0) {
    const names = staleEdges.map(escapeText).join(", ");
    await write(
      context.stderr,
      `warning: out of reach: ${names}; there it may count until they are back, or it expires\n`,
    );
  }
  return EXIT.ok;
}
