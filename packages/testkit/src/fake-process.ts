// Processes of the fake platform: a few programs with known output, kept as init and spool keep them, by byte offsets.
import { EventEmitter } from "node:events";
import type { Outcome } from "@sallyport/contracts";
import { EndReason } from "@sallyport/contracts";

/** One output: bytes from `start` on; those below are no longer kept. */
class FakeOutput extends EventEmitter {
  start = 0;
  ended = false;
  #bytes = Buffer.alloc(0);

  get length(): number {
    return this.#bytes.length;
  }

  write(data: string | Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, typeof data === "string" ? Buffer.from(data) : data]);
    this.emit("change");
  }

  end(): void {
    this.ended = true;
    this.emit("change");
  }

  slice(from: number, to: number): Buffer {
    return this.#bytes.subarray(from, to);
  }
}

/** A process: what it wrote, what it was given, how it ended. */
export class FakeProcess extends EventEmitter {
  readonly stdout: FakeOutput = new FakeOutput();
  readonly stderr: FakeOutput = new FakeOutput();
  readonly signals: string[] = [];
  readonly sizes: { columns: number; rows: number }[] = [];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  input: Buffer = Buffer.alloc(0);
  inputEnded: boolean;
  outcome: Outcome | undefined;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(argv: readonly string[], env: Readonly<Record<string, string>>, stdin: boolean) {
    super();
    this.setMaxListeners(0);
    this.argv = argv;
    this.env = env;
    this.inputEnded = !stdin;
    const [name = "", ...args] = argv;
    PROGRAMS[name]?.(this, args);
  }

  every(ms: number, run: () => void): void {
    this.#timers.push(setInterval(run, ms));
  }

  signal(name: string): void {
    if (this.outcome !== undefined) return;
    this.signals.push(name);
    if (name === "SIGKILL") this.end({ reason: EndReason.SIGNALLED, exitCode: 137, signal: name });
    if (name === "SIGTERM") this.end({ reason: EndReason.SIGNALLED, exitCode: 143, signal: name });
  }

  exit(exitCode: number): void {
    this.end({ reason: EndReason.EXITED, exitCode });
  }

  end(outcome: Outcome): void {
    if (this.outcome !== undefined) return;
    for (const timer of this.#timers) clearInterval(timer);
    this.outcome = outcome;
    this.stdout.end();
    this.stderr.end();
    this.emit("change");
  }

  /** Takes input at an offset, as init does: bytes that are known are ignored, and all once it has ended. */
  take(offset: number, data: Uint8Array, end: boolean): void {
    if (this.outcome !== undefined) return;
    const fresh = Buffer.from(data).subarray(Math.max(0, this.input.length - offset));
    this.input = Buffer.concat([this.input, fresh]);
    if (end) this.inputEnded = true;
    this.emit("input", fresh);
  }
}

/** Programs by name; any other word cannot be started. */
export const PROGRAMS: Readonly<Record<string, (process: FakeProcess, args: readonly string[]) => void>> = {
  /** Writes its arguments. */
  echo(process, args) {
    process.stdout.write(`${args.join(" ")}\n`);
    process.exit(0);
  },
  /** Writes its environment's variable. */
  printenv(process, [name = ""]) {
    process.stdout.write(`${process.env[name] ?? ""}\n`);
    process.exit(0);
  },
  /** Writes what it reads. */
  cat(process) {
    const check = () => {
      if (process.inputEnded) process.exit(0);
    };
    process.on("input", (fresh: Buffer) => {
      process.stdout.write(fresh);
      check();
    });
    setImmediate(check);
  },
  /** Reads once, and is done. */
  head(process) {
    process.once("input", (fresh: Buffer) => {
      process.stdout.write(fresh);
      process.exit(0);
    });
  },
  /** fail CODE TEXT: writes the text to standard error. */
  fail(process, [code = "1", text = ""]) {
    process.stderr.write(text);
    process.exit(Number(code));
  },
  /** count N MS: a number on each line, one each MS. */
  count(process, [count = "10", ms = "1"]) {
    let next = 0;
    process.every(Number(ms), () => {
      process.stdout.write(`${next}\n`);
      next += 1;
      if (next >= Number(count)) process.exit(0);
    });
  },
  /** flood BYTES: so many bytes of a known pattern. */
  flood(process, [bytes = "0"]) {
    const data = Buffer.alloc(Number(bytes));
    for (let at = 0; at < data.length; at += 1) data[at] = at % 251;
    process.stdout.write(data);
    process.exit(0);
  },
  /** bytes HEX MS: each byte on its own. */
  bytes(process, [hex = "", ms = "1"]) {
    const data = Buffer.from(hex, "hex");
    let at = 0;
    process.every(Number(ms), () => {
      process.stdout.write(data.subarray(at, at + 1));
      at += 1;
      if (at >= data.length) process.exit(0);
    });
  },
  /** forgot: ten bytes, of which the first four are no longer kept. */
  forgot(process) {
    process.stdout.write("0123456789");
    process.stdout.start = 4;
    process.exit(0);
  },
  /** Reads nothing, ever. */
  deaf() {},
  /** Runs until a signal ends it. */
  sleep() {},
};
