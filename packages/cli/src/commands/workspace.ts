// `sallyport workspace`: the operator makes and lists workspaces.
import type { Workspace } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { toJson, toTable, write } from "../output.ts";
import { grantsCommands } from "./grants.ts";
import { quotaCommand } from "./quota.ts";
import { tokenRulesCommand } from "./token-rules.ts";

interface WorkspaceOptions extends HomeOptions {
  readonly json?: boolean;
}

export function workspaceCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  const command = parent.command("workspace").description("workspaces (operator: root on the platform's machine)");
  withHome(command.command("create"))
    .description("make a workspace")
    .argument("<name>", "1 to 63 of a-z, 0-9 and -")
    .option("--json", "print JSON")
    .action(async (name: string, options: WorkspaceOptions) => done(await create(context, name, options)));
  withHome(command.command("list"))
    .description("list workspaces")
    .option("--json", "print JSON")
    .action(async (options: WorkspaceOptions) => done(await list(context, options)));
  quotaCommand(context, command, done);
  grantsCommands(context, command, done);
  tokenRulesCommand(context, command, done);
}

async function create(context: CliContext, name: string, options: WorkspaceOptions): Promise<number> {
  const { workspace } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.createWorkspace, { name }, call),
  );
  await write(context.stdout, `${options.json === true ? toJson(view(workspace)) : (workspace?.id ?? "")}\n`);
  return EXIT.ok;
}

async function list(context: CliContext, options: WorkspaceOptions): Promise<number> {
  const { workspaces } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.listWorkspaces, {}, call),
  );
  const rows = workspaces.map(({ id, name, createdAt }) => [id, name, createdAt?.toISOString() ?? ""]);
  const text = options.json === true ? toJson(workspaces.map(view)) : toTable(["ID", "NAME", "CREATED"], rows);
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function view(workspace: Workspace | undefined): object {
  return { id: workspace?.id, name: workspace?.name, createdAt: workspace?.createdAt };
}
