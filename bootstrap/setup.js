// Brings the machine to where the platform can run: checks, pnpm, packages, then packages/host under Node 24 for the rest.
import { join } from "node:path";
import { checkMachine } from "./checks.js";
import { BootstrapError } from "./errors.js";
import { ensureInstalled } from "./install.js";
import { childEnvironment, clone, node24 } from "./places.js";
import { ensurePnpm } from "./pnpm.js";
import { withMessages } from "./programs.js";
import { Step } from "./progress.js";

const INTERRUPTED = 130;
const DOORWAY = join("packages", "host", "src", "setup-main.ts");

/**
 * Does what is missing, skips what is there. Everything that it says goes to stderr. Throws a BootstrapError where it cannot.
 * @param {{ purpose?: "use" | "tests" | "full-tests" }} [options] With what the tests alone need, the browser of `full-tests` too.
 * @returns {Promise<NodeJS.ProcessEnv>} The environment for programs of the clone.
 */
export async function setUp(options = {}) {
  await checkMachine();
  const pnpmFolder = await ensurePnpm();
  await ensureInstalled(pnpmFolder);
  const env = childEnvironment(pnpmFolder);
  /** @type {Step | undefined} */
  let step;
  const exitCode = await withMessages(node24, ["--conditions=@sallyport/source", DOORWAY], {
    cwd: clone,
    env: { ...env, SALLYPORT_SETUP_FOR: options.purpose ?? "use" },
    onMessage: (raw) => {
      const message = /** @type {import("../packages/host/src/setup-main.ts").SetupMessage} */ (raw);
      if (message.kind === "begin") step = new Step(message.what, message.why);
      else if (message.kind === "note") step?.note(message.line);
      else if (message.kind === "say") console.error(message.line);
      else {
        if (message.problem === undefined) step?.done();
        else step?.failed(message.problem);
        step = undefined;
      }
    },
  });
  if (exitCode === INTERRUPTED) {
    throw new BootstrapError("Set-up was interrupted. The next one goes on where this one stopped.", INTERRUPTED);
  }
  if (exitCode !== 0) throw new BootstrapError("The machine is not ready for Sallyport (see above).");
  return env;
}
