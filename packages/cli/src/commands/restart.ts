// `sallyport restart`: replaces the processes of an edge, one after the other; no client is refused meanwhile.
import type { Command } from "commander";
import { Argument } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { homePaths, withHome } from "../home.ts";
import { toJson, write } from "../output.ts";
import { supervisorRestart } from "../supervisor.ts";

interface RestartOptions extends HomeOptions {
  readonly json?: boolean;
}

const EDGES = ["tunnel-edge", "connect-proxy"];

export function restartCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  withHome(program.command("restart"))
    .description("replace the processes of an edge of this machine; the ones before let their connections end")
    .addArgument(new Argument("<edge>", "what to replace").choices(EDGES))
    .option("--json", "print JSON")
    .action(async (edge: string, options: RestartOptions) => done(await restart(context, edge, options)));
}

async function restart(context: CliContext, edge: string, options: RestartOptions): Promise<number> {
  const { root, supervisorSocket } = homePaths(context, options);
  const status = await supervisorRestart(supervisorSocket, edge, context.signal);
  if (status === undefined) {
    throw new CliError("Failed", `there is no platform running in ${root}`, { hint: "start it with: sallyport up" });
  }
  const processes = status.children.filter(({ name }) => name === edge || name.startsWith(`${edge}-`));
  const lines = processes.map(({ drainingPid, name, pid }) => {
    const before = drainingPid === undefined ? "" : `; ${drainingPid} lets its connections end`;
    return `${name} is process ${pid} now${before}`;
  });
  await write(context.stdout, `${options.json === true ? toJson({ processes }) : lines.join("\n")}\n`);
  return EXIT.ok;
}
