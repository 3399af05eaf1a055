// Which platform of this machine a command is about.
import { resolve } from "node:path";
import type { HomePaths, SallyportPaths } from "@sallyport/host";
import { sallyportPaths } from "@sallyport/host";
import type { Command } from "commander";
import type { CliContext } from "./context.ts";

export interface HomeOptions {
  readonly home?: string;
}

/** `--home DIR`. */
export function withHome(command: Command): Command {
  return command.option("--home <dir>", "state of the platform (default: $SALLYPORT_HOME or /var/lib/sallyport)");
}

/** Every path, as options and environment say. */
export function machinePaths({ env }: CliContext, options: HomeOptions): SallyportPaths {
  const home = options.home ?? given(env["SALLYPORT_HOME"]);
  return sallyportPaths({
    home: home === undefined ? undefined : resolve(home),
    opt: given(env["SALLYPORT_OPT"]),
    cache: given(env["SALLYPORT_CACHE"]),
  });
}

/** The paths of the platform's state. */
export function homePaths(context: CliContext, options: HomeOptions): HomePaths {
  return machinePaths(context, options).home;
}

function given(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
