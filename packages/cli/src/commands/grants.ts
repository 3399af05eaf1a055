// `sallyport workspace grants`: what private space the operator lets a workspace's allow lists reach.
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeText, toJson, write } from "../output.ts";

interface GrantsOptions extends HomeOptions {
  readonly json?: boolean;
}

const CIDR_HELP = "a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7";

export function grantsCommands(context: CliContext, parent: Command, done: (code: number) => void): void {
  withHome(parent.command("grant-cidr"))
    .description("let allow lists of a workspace reach a private CIDR")
    .argument("<name>", "the workspace")
    .argument("<cidr>", CIDR_HELP)
    .option("--json", "print JSON")
    .action(async (name: string, cidr: string, options: GrantsOptions) =>
      done(await grant(context, name, cidr, options)),
    );
  withHome(parent.command("revoke-cidr"))
    .description("take a grant back, from running sandboxes too")
    .argument("<name>", "the workspace")
    .argument("<cidr>", "as it was granted")
    .option("--json", "print JSON")
    .action(async (name: string, cidr: string, options: GrantsOptions) =>
      done(await revoke(context, name, cidr, options)),
    );
  withHome(parent.command("grants"))
    .description("list what a workspace is granted")
    .argument("<name>", "the workspace")
    .option("--json", "print JSON")
    .action(async (name: string, options: GrantsOptions) => done(await list(context, name, options)));
}

async function grant(context: CliContext, workspace: string, cidr: string, options: GrantsOptions): Promise<number> {
  const { cidrs } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.grantCidr, { workspace, cidr }, call),
  );
  return tell(context, cidrs, options);
}

async function revoke(context: CliContext, workspace: string, cidr: string, options: GrantsOptions): Promise<number> {
  const { cidrs, sandboxes } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.revokeCidr, { workspace, cidr }, call),
  );
  if (options.json === true) await write(context.stdout, `${toJson({ cidrs, sandboxes })}\n`);
  else await write(context.stdout, `${escapeText(cidr)} is taken back; ${sandboxes} living sandboxes grew tighter\n`);
  return EXIT.ok;
}

async function list(context: CliContext, workspace: string, options: GrantsOptions): Promise<number> {
  const { cidrs } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.listGrants, { workspace }, call),
  );
  return tell(context, cidrs, options);
}

/** One to a line. */
async function tell(context: CliContext, cidrs: readonly string[], options: GrantsOptions): Promise<number> {
  const text = options.json === true ? `${toJson(cidrs)}\n` : cidrs.map((cidr) => `${escapeText(cidr)}\n`).join("");
  await write(context.stdout, text);
  return EXIT.ok;
}
