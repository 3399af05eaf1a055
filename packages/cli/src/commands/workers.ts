// `sallyport workers`: the operator looks at the machines, and gives one up.
import type { Worker } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeText, toAge, toJson, toTable, write } from "../output.ts";

interface WorkersOptions extends HomeOptions {
  readonly json?: boolean;
}

export function workersCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  const command = parent.command("workers").description("machines (operator: root on the platform's machine)");
  withHome(command.command("list", { isDefault: true }))
    .description("list them")
    .option("--json", "print JSON")
    .action(async (options: WorkersOptions) => done(await list(context, options)));
  withHome(command.command("lost"))
    .description("declare a silent one gone for good: its sandboxes end as lost")
    .argument("<id>", "wk-...")
    .option("--json", "print JSON")
    .action(async (id: string, options: WorkersOptions) => done(await lost(context, id, options)));
}

async function list(context: CliContext, options: WorkersOptions): Promise<number> {
  const { workers } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.listWorkers, {}, call),
  );
  const text =
    options.json === true ? toJson(workers) : toTable(["ID", "STATE", "HEARD OF", "INSTANCES"], workers.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function rowOf({ id, unreachable, lastSeenAt, instances }: Worker): string[] {
  const heard = lastSeenAt === undefined ? "never" : `${toAge(Date.now() - lastSeenAt.getTime())} ago`;
  return [id, unreachable ? "unreachable" : "connected", heard, String(instances)];
}

async function lost(context: CliContext, workerId: string, options: WorkersOptions): Promise<number> {
  const { sandboxes } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.declareWorkerLost, { workerId }, call),
  );
  const text = `${escapeText(workerId)} is given up; ${sandboxes} of its sandboxes ended`;
  await write(context.stdout, `${options.json === true ? toJson({ id: workerId, sandboxes }) : text}\n`);
  return EXIT.ok;
}
