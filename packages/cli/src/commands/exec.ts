// `sallyport exec`: one more process in a running sandbox, at this terminal.
import type { ExitStatus, Process } from "@sallyport/sdk";
import type { Command } from "commander";
import { parseDuration, parseEnv } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { interruptedCode } from "../context.ts";
import { CliError } from "../errors.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { toJson, write } from "../output.ts";
import { attach, terminalSize } from "../stream.ts";

interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly lifetime?: number;
  readonly tty?: boolean;
  readonly json?: boolean;
}

export function execCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("exec")
    .description("run a command in a running sandbox")
    .usage("[options] SANDBOX -- CMD...")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("<cmd...>", "the command")
    .option("-e, --env <name=value>", "added to the sandbox's environment; may be repeated", parseEnv)
    .option("-w, --workdir <path>", "working directory (default: the sandbox's)")
    .option("--lifetime <duration>", "killed after, e.g. 90s, 10m", parseDuration)
    .option("-t, --tty", "give it a terminal, and this one's keys")
    .option("--json", "print JSON when it has ended, output included; standard input is not forwarded")
    .passThroughOptions()
    .action(async (text: string, command: string[], options: ExecOptions) =>
      done(await exec(context, text, withoutDashes(command), options)),
    );
}

async function exec(
  context: CliContext,
  text: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  if (command.length === 0) throw new CliError("Usage", "no command", { hint: "sallyport exec SANDBOX -- CMD..." });
  const pty = options.tty === true;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, context.signal);
  const { env, workdir, lifetime: lifetimeMs } = options;
  const start = { env, workdir, lifetimeMs, signal: context.signal };
  if (options.json === true) {
    const result = await sandbox.run(command, start);
    await write(context.stdout, `${toJson(result)}\n`);
    return result.exitCode;
  }
  const process = await sandbox.exec(command, { ...start, pty: pty ? terminalSize(context) : undefined });
  try {
    const status = await attach(context, process, pty);
    await tellEnd(context, status);
    return status.exitCode;
  } catch (error) {
    await stop(process);
    if (context.signal.aborted) return interruptedCode(context.signal);
    throw error;
  }
}

/** Behind the sandbox's id every word is the command's own for the parser, the `--` before it too. */
function withoutDashes(command: readonly string[]): readonly string[] {
  return command[0] === "--" ? command.slice(1) : command;
}

/** What we no longer watch does not go on unseen. */
async function stop(process: Process): Promise<void> {
  // The sandbox may be gone, and the process with it.
  await process.kill("SIGKILL", { timeoutMs: 5_000 }).then(undefined, () => undefined);
}

/** Says why, where the process itself could not. */
export async function tellEnd({ stderr }: CliContext, { reason, exitCode }: ExitStatus): Promise<void> {
  if (reason === "exited" || reason === "signalled") return;
  await write(stderr, `sallyport: ended by the platform: ${reason} (exit code ${exitCode})\n`);
}
