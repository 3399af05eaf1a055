// `sallyport tunnels`: the public addresses of the ports that a sandbox's create declared.
import type { Tunnel } from "@sallyport/sdk";
import type { Command } from "commander";
import { parseDuration } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { toJson, toTable, write } from "../output.ts";

interface TunnelsOptions {
  readonly timeout?: number;
  readonly json?: boolean;
}

/** Edges usually confirm in less; a wait that lasts longer is told of. */
const QUIET_MS = 1_000;

export function tunnelsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("tunnels")
    .description("list the public addresses of a sandbox's declared ports; waits until the edges serve them")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("--timeout <duration>", "how long to wait, e.g. 90s (default: 50s)", parseDuration)
    .option("--json", "print JSON")
    .action(async (text: string, options: TunnelsOptions) => done(await list(context, text, options)));
}

async function list(context: CliContext, text: string, options: TunnelsOptions): Promise<number> {
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  const progress = setTimeout(() => {
    void write(context.stderr, "sallyport: waiting until the edges serve them\n");
  }, QUIET_MS);
  let tunnels: Tunnel[];
  try {
    tunnels = Object.values(await sandbox.tunnels({ signal, timeoutMs: options.timeout }));
  } finally {
    clearTimeout(progress);
  }
  const shown = options.json === true ? toJson(tunnels.map(view)) : toTable(HEAD, tunnels.map(rowOf));
  await write(context.stdout, `${shown}\n`);
  if (options.json === true) return EXIT.ok;
  if (tunnels.length === 0) {
    await write(
      context.stderr,
      "It was created without ports; `sallyport forward` reaches any of them from this machine.\n",
    );
  }
  if (tunnels.some(({ caPem }) => caPem !== undefined)) {
    const how = "`sallyport ca trust` has this machine trust them, `sallyport ca print` is for curl's --cacert";
    await write(context.stderr, `Their certificates are from the platform's own authority: ${how}.\n`);
  }
  return EXIT.ok;
}

const HEAD = ["PORT", "KIND", "URL", "TCP", "PROXY"];

function rowOf({ sandboxPort, kind, url, tcpSocket, proxyProtocol }: Tunnel): string[] {
  return [String(sandboxPort), kind, url, tcpSocket?.join(":") ?? "", proxyProtocol ? "v2" : ""];
}

/** Without the authority: `sallyport ca print` has it. */
function view({ sandboxPort, kind, host, port, url, tlsSocket, tcpSocket, proxyProtocol }: Tunnel): object {
  return { sandboxPort, kind, host, port, url, tlsSocket, tcpSocket, proxyProtocol };
}
