// For the tests of this package: one command line, run as a shell would, with its streams captured.
import { PassThrough, Readable, Writable } from "node:stream";
import { Client } from "@sallyport/sdk";
import type { FakePlatform } from "@sallyport/testkit/fake-platform";
import { runCli } from "../src/cli.ts";
import type { CliContext, TerminalIn, TerminalOut } from "../src/context.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Piped in. Nothing when unset. */
  readonly stdin?: string | Readable;
  /** A terminal of this size at both ends. */
  readonly terminal?: { columns: number; rows: number };
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  /** Told of output as it comes. */
  readonly onStdout?: (text: string) => void;
}

/** A captured stream. */
class Capture extends Writable {
  readonly chunks: Buffer[] = [];
  readonly #onText: ((text: string) => void) | undefined;

  constructor(onText?: (text: string) => void) {
    super();
    this.#onText = onText;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.chunks.push(chunk);
    this.#onText?.(this.text);
    callback();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

/** A keyboard and a screen. */
export class Keyboard extends PassThrough {
  readonly isTTY = true;
  readonly rawModes: boolean[] = [];

  setRawMode(raw: boolean): void {
    this.rawModes.push(raw);
  }
}

export async function cli(
  platform: FakePlatform | undefined,
  argv: string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const { stdin = "", terminal, env = {}, signal = new AbortController().signal } = options;
  const stdout: Capture & TerminalOut = new Capture(options.onStdout);
  const stderr = new Capture();
  if (terminal !== undefined) Object.assign(stdout, { isTTY: true, ...terminal });
  const input: TerminalIn = typeof stdin === "string" ? Readable.from([Buffer.from(stdin)]) : stdin;
  const context: CliContext = {
    stdin: input,
    stdout,
    stderr,
    env,
    signal,
    isRoot: true,
    createClient: () =>
      new Client(
        platform === undefined ? { url: "http://127.0.0.1:9" } : { url: platform.apiUrl, token: platform.token },
      ),
  };
  const code = await runCli(argv, context);
  return { code, stdout: stdout.text, stderr: stderr.text };
}
