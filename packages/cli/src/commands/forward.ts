// `sallyport forward`: ports of this machine that lead to ports of a sandbox, until it is stopped.
import type { PortForward, Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { interruptedCode } from "../context.ts";
import { CliError, describeError } from "../errors.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import type { ForwardSpec } from "../forward-spec.ts";
import { collectForward, FORWARD_HELP } from "../forward-spec.ts";
import { toJsonLine, write } from "../output.ts";

interface ForwardCliOptions {
  readonly json?: boolean;
}

export function forwardCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("forward")
    .description("have ports of this machine lead into a sandbox, declared there or not, until it is stopped")
    .usage("[options] <sandbox> <[[ADDRESS:]LOCAL:]PORT...>")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("<ports...>", FORWARD_HELP, collectForward)
    .option("--json", "print JSON, one line, once all listen")
    .action(async (text: string, ports: readonly ForwardSpec[], options: ForwardCliOptions) =>
      done(await forward(context, text, ports, options)),
    );
}

async function forward(
  context: CliContext,
  text: string,
  specs: readonly ForwardSpec[],
  options: ForwardCliOptions,
): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  await using open = new AsyncDisposableStack();
  const forwards: PortForward[] = [];
  for (const { host, localPort, port } of specs) {
    const onError = (error: Error) => void write(context.stderr, describeError(error, options.json === true));
    forwards.push(open.use(await sandbox.forward(port, { host, port: localPort, signal, onError })));
  }
  await write(context.stdout, options.json === true ? `${toJsonLine(forwards.map(view))}\n` : lines(forwards));
  return await untilOver(context, sandbox); // before the disposal
}

/** Connections may fail one by one; the sandbox's end is the end of all. */
async function untilOver({ signal }: CliContext, sandbox: Sandbox): Promise<number> {
  try {
    await sandbox.wait({ signal });
  } catch (error) {
    if (signal.aborted) return interruptedCode(signal);
    throw error;
  }
  throw new CliError("Failed", `${sandbox.id} has ended`);
}

function lines(forwards: readonly PortForward[]): string {
  return forwards.map((one) => `${addressOf(one)} -> ${one.sandboxPort}\n`).join("");
}

function addressOf({ host, port }: PortForward): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function view({ sandboxPort, host, port }: PortForward): object {
  return { sandboxPort, host, port };
}
