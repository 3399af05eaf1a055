// The program: every verb under one command, errors and exit codes in one place.
import { Command, CommanderError } from "commander";
import { apiTokenCommand } from "./commands/api-token.ts";
import { caCommand } from "./commands/ca.ts";
import { connectTokenCommand } from "./commands/connect-token.ts";
import { cpCommand } from "./commands/cp.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { downCommand } from "./commands/down.ts";
import { edgesCommand } from "./commands/edges.ts";
import { eventsCommand } from "./commands/events.ts";
import { execCommand } from "./commands/exec.ts";
import { forwardCommand } from "./commands/forward.ts";
import { fsCommand } from "./commands/fs.ts";
import { imageCommand } from "./commands/image.ts";
import { keysCommand } from "./commands/keys.ts";
import { logsCommand } from "./commands/logs.ts";
import { lsCommand } from "./commands/ls.ts";
import { policyCommand } from "./commands/policy.ts";
import { psCommand } from "./commands/ps.ts";
import { registryCommand } from "./commands/registry.ts";
import { restartCommand } from "./commands/restart.ts";
import { rmCommand } from "./commands/rm.ts";
import { runCommand } from "./commands/run.ts";
import { sleepCommand } from "./commands/sleep.ts";
import { tagsCommand } from "./commands/tags.ts";
import { tunnelsCommand } from "./commands/tunnels.ts";
import { upCommand } from "./commands/up.ts";
import { usageCommand } from "./commands/usage.ts";
import { workersCommand } from "./commands/workers.ts";
import { workspaceCommand } from "./commands/workspace.ts";
import type { CliContext } from "./context.ts";
import { EXIT, interruptedCode } from "./context.ts";
import { CliError, describeError } from "./errors.ts";
import { write } from "./output.ts";

/** Runs one command line, without the program's own name. Resolves with the exit code; never rejects. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const texts: Promise<void>[] = [];
  let code: number = EXIT.ok;
  const program = buildProgram(
    context,
    (text, stream) => texts.push(write(context[stream], text)),
    (result) => {
      code = result;
    },
  );
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    code = await failed(error, wantsJson(argv), context);
  }
  await Promise.allSettled(texts);
  return code;
}

type Print = (text: string, stream: "stdout" | "stderr") => void;

function buildProgram(context: CliContext, print: Print, done: (code: number) => void): Command {
  const program = new Command("sallyport")
    .description("Sandboxes for untrusted code, on your own machines.")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => print(text, "stdout"),
      writeErr: (text) => print(text, "stderr"),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError("(--help tells more)")
    .addHelpText("after", AFTER_HELP);
  for (const add of VERBS) add(context, program, done);
  imageCommand(context, program, done);
  registryCommand(context, program, done);
  apiTokenCommand(context, program, "api-token", done);
  workspaceCommand(context, program, done);
  workersCommand(context, program, done);
  edgesCommand(context, program, done);
  keysCommand(context, program, done);
  const admin = program
    .command("admin", { hidden: true })
    .description("the operator's verbs, under their longer names");
  apiTokenCommand(context, admin, "token", done);
  workspaceCommand(context, admin, done);
  workersCommand(context, admin, done);
  edgesCommand(context, admin, done);
  keysCommand(context, admin, done);
  return program;
}

const VERBS = [
  upCommand,
  downCommand,
  restartCommand,
  doctorCommand,
  runCommand,
  execCommand,
  lsCommand,
  cpCommand,
  fsCommand,
  psCommand,
  logsCommand,
  eventsCommand,
  policyCommand,
  connectTokenCommand,
  tunnelsCommand,
  forwardCommand,
  caCommand,
  tagsCommand,
  sleepCommand,
  rmCommand,
  usageCommand,
];

const AFTER_HELP = `
Which platform: SALLYPORT_API_URL and SALLYPORT_TOKEN, or the profile file that \`sallyport api-token create --save\` writes.
Exit codes: 0 done, 1 failed, 2 wrong usage; run and exec exit as their command does.`;

async function failed(error: unknown, json: boolean, context: CliContext): Promise<number> {
  if (error instanceof CommanderError) {
    // Help and usage errors have been printed.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  if (context.signal.aborted) return interruptedCode(context.signal);
  // Nobody reads our output any more: there is nobody to tell.
  if (error instanceof Error && "code" in error && error.code === "EPIPE") return EXIT.failure;
  await write(context.stderr, describeError(error, json)).then(undefined, () => undefined);
  return error instanceof CliError && error.code === "Usage" ? EXIT.usage : EXIT.failure;
}

/** Whether the errors shall be JSON; what follows `--` belongs to a sandbox. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end === -1 ? undefined : end).includes("--json");
}
