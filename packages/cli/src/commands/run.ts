// `sallyport run`: one command in a sandbox of its own, at this terminal.
import { isId } from "@sallyport/contracts";
import type { AllowRule, Client, CreateOptions, ExitStatus } from "@sallyport/sdk";
import { App, Image, Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import { Option } from "commander";
import { collect, collectNumber, parseDuration, parseEnv, parseNumber, parsePair } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT, interruptedCode } from "../context.ts";
import { CliError } from "../errors.ts";
import { toJson, write } from "../output.ts";
import { collectEntry, ENTRY_HELP } from "../policy-text.ts";
import { attach, takesInput, terminalSize } from "../stream.ts";
import { tellEnd } from "./exec.ts";

interface RunOptions {
  readonly app?: string;
  readonly image?: string;
  readonly cpu?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly lifetime?: number;
  readonly idleTimeout?: number;
  readonly sleepAfter?: number;
  readonly name?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly blockNetwork?: boolean;
  readonly allow?: readonly (string | AllowRule)[];
  readonly dns?: readonly string[];
  readonly encryptedPort?: readonly number[];
  readonly h2Port?: readonly number[];
  readonly unencryptedPort?: readonly number[];
  readonly proxyProtocol?: readonly number[];
  readonly inboundCidr?: readonly string[];
  readonly blockInbound?: boolean;
  readonly detach?: boolean;
  readonly tty?: boolean;
  readonly json?: boolean;
}

export function runCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("run")
    .description("run a command in a new sandbox, and end the sandbox with it")
    .usage("[options] -- CMD...")
    .argument("[cmd...]", "the command; may be left out with --detach, and with --image for the image's own")
    .option("--app <name>", "the app it belongs to; made when there is none (default: the app default)")
    .option("--image <image>", "what its files are: a reference, or the id of an image (default: the platform's own)")
    .option("--cpu <number>", "processors, 0.1 to 64 (default: 1)", parseNumber)
    .option("--memory <mib>", "memory in MiB (default: 512)", parseNumber)
    .option("--disk <mib>", "what it may write to its files, in MiB (default: 1024)", parseNumber)
    .option("--lifetime <duration>", "ended after, e.g. 90s, 10m, 2h (default: 1h)", parseDuration)
    .option("--idle-timeout <duration>", "ended after so long without use (default: never)", parseDuration)
    .option(
      "--sleep-after <duration>",
      "asleep after so long without use, until it is used (default: never)",
      parseDuration,
    )
    .option("--name <name>", "unique in its app while it lives")
    .option("--tag <key=value>", "a note on it; may be repeated", parsePair)
    .option("-e, --env <name=value>", "environment; may be repeated", parseEnv)
    .option("-w, --workdir <path>", "working directory (default: /)")
    .addOption(new Option("--block-network", "let it reach nothing").conflicts("allow"))
    .option("--allow <entry>", `let it reach this and nothing else; may be repeated: ${ENTRY_HELP}`, collectEntry)
    .option("--dns <address>", "with --allow: a resolver that it may use; may be repeated", collect)
    .option("--encrypted-port <port>", "give this port a public TLS address; may be repeated", collectNumber)
    .option("--h2-port <port>", "the same for a server of HTTP/2 without TLS (h2c); may be repeated", collectNumber)
    .option("--unencrypted-port <port>", "give it a public TCP port, and a TLS address; may be repeated", collectNumber)
    .option(
      "--proxy-protocol <port>",
      "of those: a PROXY v2 header tells it each client's address; may be repeated",
      collectNumber,
    )
    .option("--inbound-cidr <cidr>", "let these clients alone use tunnels and connect tokens; may be repeated", collect)
    .addOption(new Option("--block-inbound", "let no client use them").conflicts("inboundCidr"))
    .option("-d, --detach", "print its id and leave it running")
    .addOption(new Option("-t, --tty", "give it a terminal, and this one's keys").conflicts("detach"))
    .option("--json", "print JSON when it has ended, output included")
    .passThroughOptions()
    .action(async (command: string[], options: RunOptions) => done(await run(context, command, options)));
}

/** Made or found first: its own command is known only then. */
async function imageOf(client: Client, context: CliContext, name: string | undefined): Promise<Image | undefined> {
  if (name === undefined) return undefined;
  if (name === "default") return Image.default;
  const { signal } = context;
  return isId("image", name)
    ? Image.fromId(name, { client, signal })
    : Image.fromRegistry(name).build({ client, signal });
}

async function run(context: CliContext, given: readonly string[], options: RunOptions): Promise<number> {
  if (given.length === 0 && options.detach !== true && options.image === undefined) {
    throw new CliError("Usage", "no command", { hint: "sallyport run -- CMD..." });
  }
  const pty = options.tty === true;
  await using client = context.createClient();
  const image = await imageOf(client, context, options.image);
  const command = given.length > 0 || options.detach === true ? given : (image?.info?.command ?? []);
  if (command.length === 0 && options.detach !== true)
    throw new CliError("Usage", "the image has no command of its own");
  const create: CreateOptions = {
    client,
    signal: context.signal,
    app: options.app === undefined ? undefined : await App.lookup(options.app, { client, createIfMissing: true }),
    image,
    env: options.env,
    workdir: options.workdir,
    lifetimeMs: options.lifetime,
    cpu: options.cpu,
    memoryMiB: options.memory,
    diskMiB: options.disk,
    idleTimeoutMs: options.idleTimeout,
    sleepAfterMs: options.sleepAfter,
    name: options.name,
    tags: options.tag,
    pty: pty ? terminalSize(context) : undefined,
    dns: options.dns,
    encryptedPorts: options.encryptedPort,
    h2Ports: options.h2Port,
    unencryptedPorts: options.unencryptedPort,
    proxyProtocolPorts: options.proxyProtocol,
    inboundCidrAllowlist: options.blockInbound === true ? [] : options.inboundCidr,
    ...networkOf(options),
  };
  await using sandbox = await (command.length === 0 ? Sandbox.create(create) : Sandbox.create(command, create));
  if (options.detach === true) {
    await sandbox.detach();
    await write(context.stdout, options.json === true ? `${toJson({ id: sandbox.id })}\n` : `${sandbox.id}\n`);
    return EXIT.ok;
  }
  if (options.json === true) return await collected(context, sandbox); // before the disposal
  const status = await attached(context, sandbox, pty);
  if (status === undefined) return interruptedCode(context.signal);
  await tellEnd(context, status);
  return status.exitCode;
}

/** Undefined when a signal stopped us: the sandbox is then terminated. */
async function attached(context: CliContext, sandbox: Sandbox, pty: boolean): Promise<ExitStatus | undefined> {
  try {
    return await attach(context, sandbox, pty);
  } catch (error) {
    if (context.signal.aborted) return undefined;
    throw error;
  }
}

async function collected(context: CliContext, sandbox: Sandbox): Promise<number> {
  void feedQuietly(context, sandbox);
  const [status, stdout, stderr] = await Promise.all([
    sandbox.wait({ signal: context.signal }),
    sandbox.stdout.text(),
    sandbox.stderr.text(),
  ]);
  context.stdin.destroy();
  await write(context.stdout, `${toJson({ id: sandbox.id, ...status, stdout, stderr })}\n`);
  return status.exitCode;
}

/** Never rejects: a command that does not read its input tells the rest by its exit status. */
async function feedQuietly(context: CliContext, sandbox: Sandbox): Promise<void> {
  try {
    if (takesInput(context, false)) {
      for await (const chunk of context.stdin) await sandbox.stdin.send(chunk as Uint8Array);
    }
    await sandbox.stdin.end();
  } catch {
    // The command has ended, or our input was closed because it has.
  }
}

function networkOf({ blockNetwork, allow }: RunOptions): Pick<CreateOptions, "network"> {
  if (blockNetwork === true) return { network: "blocked" };
  return allow === undefined ? {} : { network: { allow } };
}
