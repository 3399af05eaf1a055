// Takes the connections of a slot's ended life out of the router's connection table. Housekeeping only: their mark
// matches no rule any more, but the table is everybody's, and idle TCP entries stay in it for two hours.

import { CommandError, run } from "../system/command.ts";

const NOT_FOUND = 127;

/** Answers whether it could: the `conntrack` program may be missing. */
export async function forgetConnections(
  routerNetnsPath: string,
  mark: number,
  program = "conntrack",
): Promise<boolean> {
  const done = await Promise.all(
    ["ipv4", "ipv6"].map(async (family) => {
      try {
        await run(["nsenter", `--net=${routerNetnsPath}`, program, "-D", "-f", family, "-m", String(mark)]);
        return true;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        // It fails where there was nothing to delete.
        if (/ 0 flow entries/.test(error.stderr)) return true;
        if (error.exitCode === NOT_FOUND) return false;
        throw error;
      }
    }),
  );
  return done.every(Boolean);
}
