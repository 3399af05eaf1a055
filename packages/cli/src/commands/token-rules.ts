// `sallyport workspace token-rules`: the operator shows and sets what connect tokens of a workspace may be.
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import { Option } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { toJson, toTable, write } from "../output.ts";

interface TokenRulesOptions extends HomeOptions {
  readonly userMetadataAtTunnels?: "refuse" | "warn";
  readonly json?: boolean;
}

export function tokenRulesCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  withHome(parent.command("token-rules"))
    .description("show what connect tokens of a workspace may be, or set it")
    .argument("<name>", "the workspace")
    .addOption(
      new Option(
        "--user-metadata-at-tunnels <rule>",
        "user metadata in tokens for a port that a tunnel leads to as well, whose visitors can forge the plain header",
      ).choices(["refuse", "warn"]),
    )
    .option("--json", "print JSON")
    .action(async (name: string, options: TokenRulesOptions) => done(await tokenRules(context, name, options)));
}

async function tokenRules(context: CliContext, workspace: string, options: TokenRulesOptions): Promise<number> {
  const rule = options.userMetadataAtTunnels;
  const request = { workspace, refuseUserMetadataAtTunnels: rule === undefined ? undefined : rule === "refuse" };
  // With nothing to set, the answer is the rules as they are.
  const answer = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.setWorkspaceTokenRules, request, call),
  );
  const userMetadataAtTunnels = answer.refuseUserMetadataAtTunnels ? "refuse" : "warn";
  const table = toTable(["", "RULE"], [["user metadata at tunnels", userMetadataAtTunnels]]);
  await write(context.stdout, `${options.json === true ? toJson({ userMetadataAtTunnels }) : table}\n`);
  return EXIT.ok;
}
