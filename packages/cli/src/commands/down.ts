// `sallyport down`: ends every sandbox and the platform of this machine.
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { homePaths, withHome } from "../home.ts";
import { toJson, write } from "../output.ts";
import { findLaunch, runInForeground } from "../standalone.ts";
import { supervisorDown, supervisorStatus } from "../supervisor.ts";

interface DownOptions extends HomeOptions {
  readonly json?: boolean;
}

export function downCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  withHome(program.command("down"))
    .description("end every sandbox and the platform of this machine; files stay")
    .option("--json", "print JSON")
    .action(async (options: DownOptions) => done(await down(context, options)));
}

async function down(context: CliContext, options: DownOptions): Promise<number> {
  const { root, supervisorSocket } = homePaths(context, options);
  const tell = (text: string) =>
    write(context.stdout, options.json === true ? `${toJson({ state: "down", home: root })}\n` : `${text}\n`);
  if ((await supervisorStatus(supervisorSocket, context.signal)) !== undefined) {
    await supervisorDown(supervisorSocket, context.signal);
    await tell("Sallyport is down; nothing of it runs.");
    return EXIT.ok;
  }
  if (!(await isDirectory(root))) {
    await tell(`There is no platform in ${root}.`);
    return EXIT.ok;
  }
  // A supervisor that was killed leaves sandboxes, rules and a database server behind: a new one ends them.
  const code = await runInForeground(context, await findLaunch(context, options, { SALLYPORT_DOWN: "1" }));
  if (code !== 0) {
    throw new CliError("Failed", `ending what was left failed with exit code ${code}`, { hint: `see ${root}/log` });
  }
  await tell("Sallyport was not running; what it had left behind is ended.");
  return EXIT.ok;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
