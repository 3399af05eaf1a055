// `sallyport api-token`: the operator makes, lists and revokes API tokens.
import type { ApiToken } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { homePaths, withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeText, toJson, toTable, write } from "../output.ts";
import { saveProfile } from "../profile.ts";
import { supervisorStatus } from "../supervisor.ts";

interface CreateOptions extends HomeOptions {
  readonly workspace: string;
  readonly name: string;
  readonly save?: boolean;
  readonly json?: boolean;
}

interface ListOptions extends HomeOptions {
  readonly workspace?: string;
  readonly json?: boolean;
}

/** Adds the verbs under a name: `api-token`, and `token` below `admin`. */
export function apiTokenCommand(
  context: CliContext,
  parent: Command,
  name: string,
  done: (code: number) => void,
): void {
  const command = parent.command(name).description("API tokens (operator: root on the platform's machine)");
  withHome(command.command("create"))
    .description("make an API token; it is shown this once")
    .option("--workspace <name>", "whose", "default")
    .requiredOption("--name <name>", "what it is for")
    .option("--save", "keep it in this user's profile file, where SDK and CLI find it, instead of showing it")
    .option("--json", "print JSON")
    .action(async (options: CreateOptions) => done(await create(context, options)));
  withHome(command.command("list"))
    .description("list API tokens, without their secrets")
    .option("--workspace <name>", "only this workspace's")
    .option("--json", "print JSON")
    .action(async (options: ListOptions) => done(await list(context, options)));
  withHome(command.command("revoke"))
    .description("revoke an API token")
    .argument("<id>", "at-...")
    .option("--json", "print JSON")
    .action(async (id: string, options: ListOptions) => done(await revoke(context, id, options)));
}

async function create(context: CliContext, options: CreateOptions): Promise<number> {
  const url = options.save === true ? await apiUrl(context, options) : undefined;
  const request = { workspaceName: options.workspace, name: options.name };
  const { apiToken, secret } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.createApiToken, request, call),
  );
  const saved = url === undefined ? undefined : await saveProfile(context, { url, token: secret });
  if (options.json === true) {
    // A token that was kept need not be in anybody's log as well.
    const shown = saved === undefined ? { token: secret } : { savedTo: saved };
    await write(context.stdout, `${toJson({ ...view(apiToken), ...shown })}\n`);
  } else if (saved === undefined) {
    await write(context.stdout, `${secret}\n`);
    await write(context.stderr, "It is shown this once: keep it, e.g. in SALLYPORT_TOKEN.\n");
  } else {
    await write(context.stdout, `${apiToken?.id ?? ""} saved to ${escapeText(saved)}\n`);
  }
  return EXIT.ok;
}

async function apiUrl(context: CliContext, options: HomeOptions): Promise<string> {
  const status = await supervisorStatus(homePaths(context, options).supervisorSocket, context.signal);
  const url = status?.apiUrl ?? context.env["SALLYPORT_API_URL"];
  if (url !== undefined && url !== "") return url;
  throw new CliError("Failed", "--save needs to know the platform's address", {
    hint: "`sallyport up` starts one; or set SALLYPORT_API_URL",
  });
}

async function list(context: CliContext, options: ListOptions): Promise<number> {
  const request = options.workspace === undefined ? {} : { workspaceName: options.workspace };
  const { apiTokens } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.listApiTokens, request, call),
  );
  const rows = apiTokens.map(({ id, workspaceName, name, createdAt, revokedAt }) => [
    id,
    workspaceName,
    name,
    createdAt?.toISOString() ?? "",
    revokedAt === undefined ? "good" : `revoked ${revokedAt.toISOString()}`,
  ]);
  const text =
    options.json === true
      ? toJson(apiTokens.map(view))
      : toTable(["ID", "WORKSPACE", "NAME", "CREATED", "STATE"], rows);
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

async function revoke(context: CliContext, apiTokenId: string, options: ListOptions): Promise<number> {
  const { apiToken } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.revokeApiToken, { apiTokenId }, call),
  );
  await write(context.stdout, options.json === true ? `${toJson(view(apiToken))}\n` : `${escapeText(apiTokenId)}\n`);
  return EXIT.ok;
}

function view(token: ApiToken | undefined): object {
  return {
    id: token?.id,
    workspace: token?.workspaceName,
    workspaceId: token?.workspaceId,
    name: token?.name,
    createdAt: token?.createdAt,
    revokedAt: token?.revokedAt,
  };
}
