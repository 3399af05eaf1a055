// `sallyport workspace quota`: the operator shows and sets what a workspace may use.
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import { parseCount, parseNumber } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { toJson, toTable, write } from "../output.ts";

interface QuotaOptions extends HomeOptions {
  readonly sandboxes?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly createsPerMinute?: number;
  readonly json?: boolean;
}

export function quotaCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  withHome(parent.command("quota"))
    .description("show what a workspace may use, or set some of it; 0 is no bound")
    .argument("<name>", "the workspace")
    .option("--sandboxes <number>", "living sandboxes", parseCount)
    .option("--cpu <number>", "processors of all of them", parseNumber)
    .option("--memory <mib>", "memory of all of them, in MiB", parseCount)
    .option("--disk <mib>", "disk of all of them, in MiB", parseCount)
    .option("--creates-per-minute <number>", "creates in any 60 s", parseCount)
    .option("--json", "print JSON")
    .action(async (name: string, options: QuotaOptions) => done(await quota(context, name, options)));
}

async function quota(context: CliContext, workspace: string, options: QuotaOptions): Promise<number> {
  const { cpu, sandboxes, memory: memoryMib, disk: diskMib, createsPerMinute } = options;
  if (cpu !== undefined && cpu < 0) throw new CliError("Usage", "--cpu must be 0 or more");
  const cpuMillis = cpu === undefined ? undefined : Math.round(cpu * 1_000);
  const request = { workspace, sandboxes, cpuMillis, memoryMib, diskMib, createsPerMinute };
  // With nothing to set, the answer is the quota as it is.
  const answer = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.setWorkspaceQuota, request, call),
  );
  if (answer.quota === undefined) throw new CliError("Failed", "the platform answered without a quota");
  const { quota: set } = answer;
  const view = {
    sandboxes: set.sandboxes,
    cpu: set.cpuMillis / 1_000,
    memoryMiB: set.memoryMib,
    diskMiB: set.diskMib,
    createsPerMinute: set.createsPerMinute,
  };
  const rows = [
    ["sandboxes", view.sandboxes],
    ["cpu", view.cpu],
    ["memory (MiB)", view.memoryMiB],
    ["disk (MiB)", view.diskMiB],
    ["creates per minute", view.createsPerMinute],
  ].map(([label, bound]) => [String(label), bound === 0 ? "none" : String(bound)]);
  await write(context.stdout, `${options.json === true ? toJson(view) : toTable(["", "QUOTA"], rows)}\n`);
  return EXIT.ok;
}
