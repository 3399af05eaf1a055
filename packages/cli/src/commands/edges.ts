// `sallyport edges`: the operator looks at the processes that face strangers.
import type { Edge } from "@sallyport/contracts";
import { EdgeKind } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { toAge, toJson, toTable, write } from "../output.ts";

interface EdgesOptions extends HomeOptions {
  readonly json?: boolean;
}

export function edgesCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  withHome(parent.command("edges"))
    .description(
      "list the proxies, and how far they know routes and revocations (operator: root on the platform's machine)",
    )
    .option("--json", "print JSON")
    .action(async (options: EdgesOptions) => done(await list(context, options)));
}

async function list(context: CliContext, options: EdgesOptions): Promise<number> {
  const { edges } = await asOperator(context, options, (admin, call) => callUnary(admin, admin.listEdges, {}, call));
  const text =
    options.json === true ? toJson(edges) : toTable(["ID", "KIND", "STATE", "HEARD OF", "REVISION"], edges.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function rowOf({ id, kind, lastSeenAt, stale, revision, newestRevision }: Edge): string[] {
  const heard = lastSeenAt === undefined ? "never" : `${toAge(Date.now() - lastSeenAt.getTime())} ago`;
  return [
    id,
    kind === EdgeKind.TUNNEL ? "tunnel" : "connect",
    stale ? "stale" : "fresh",
    heard,
    `${revision} of ${newestRevision}`,
  ];
}
