// `sallyport usage`: what the workspace may use, and uses.
import type { WorkspaceBounds } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { toJson, toTable, write } from "../output.ts";

const ROWS: readonly (readonly [label: string, key: keyof WorkspaceBounds])[] = [
  ["sandboxes", "sandboxes"],
  ["cpu", "cpu"],
  ["memory (MiB)", "memoryMiB"],
  ["disk (MiB)", "diskMiB"],
  ["creates per minute", "createsPerMinute"],
];

export function usageCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("usage")
    .description("tell what the workspace may use, and uses")
    .option("--json", "print JSON")
    .action(async (options: { readonly json?: boolean }) => done(await usage(context, options.json === true)));
}

async function usage(context: CliContext, json: boolean): Promise<number> {
  await using client = context.createClient();
  const { quota, used } = await client.usage({ signal: context.signal });
  const rows = ROWS.map(([label, key]) => [label, String(used[key]), boundOf(quota[key])]);
  const text = json ? toJson({ quota, used }) : toTable(["", "USED", "QUOTA"], rows);
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function boundOf(bound: number): string {
  return bound === 0 ? "none" : String(bound);
}
