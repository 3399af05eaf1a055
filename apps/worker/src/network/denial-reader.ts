// Keeps `sallyport-denials` running in the router's namespace, and hands on what it tells. Without it sandboxes run and
// are held as ever: only nobody hears what was denied.

import type { ChildProcess } from "node:child_process";
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import { start } from "../system/command.ts";
import { type DenialRecord, RECORD_BYTES, readDenial } from "./denial-record.ts";
import { DENIAL_GROUP } from "./denial-words.ts";

const MAX_WORDS = 500;
/** A reader that lived so long had the log. */
const BEGUN_MS = 2_000;
/** How many that could not begin, one after the other, are worth a word. */
const FAILURES_TOLD = 3;

export interface DenialReaderOptions {
  /** Path of the program. */
  readonly program: string;
  readonly routerNetnsPath: string;
  readonly onDenial: (record: DenialRecord) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class DenialReader implements AsyncDisposable {
  readonly #options: DenialReaderOptions;
  readonly #closed = new AbortController();
  readonly #running: Promise<void>;
  #child: ChildProcess | undefined;

  constructor(options: DenialReaderOptions) {
    this.#options = options;
    this.#running = this.#keepRunning();
  }

  async #keepRunning(): Promise<void> {
    const { clock, logger } = this.#options;
    const backoff = new Backoff({ firstMs: 200, maxMs: 30_000, clock });
    let failures = 0;
    while (!this.#closed.signal.aborted) {
      const startedMs = clock.monotonicMs();
      const words = await this.#runOnce();
      if (this.#closed.signal.aborted) return;
      const hadBegun = clock.monotonicMs() - startedMs > BEGUN_MS;
      failures = hadBegun ? 1 : failures + 1;
      if (hadBegun) backoff.reset();
      // That of a worker that was just killed may still be on its way out, and has the log.
      if (hadBegun || failures === FAILURES_TOLD) {
        logger.warn({ problem: words }, "nobody tells what is denied; starting the reader again");
      }
      await backoff.pauseOrAbort(this.#closed.signal);
    }
  }

  /** Resolves when the program has ended, with what it said about that. */
  #runOnce(): Promise<string> {
    const { program, routerNetnsPath } = this.#options;
    // It ends by itself when nobody reads: also when we are killed.
    const child = start(["nsenter", `--net=${routerNetnsPath}`, program, String(DENIAL_GROUP)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let rest = Buffer.alloc(0);
    child.stdout?.on("data", (chunk: Buffer) => {
      rest = this.#take(Buffer.concat([rest, chunk]));
    });
    let words = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      words = `${words}${chunk.toString("latin1")}`.slice(0, MAX_WORDS);
    });
    return new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(words.trim() || `it ended with ${signal ?? code}`));
    });
  }

  /** Answers what is not a whole record yet. */
  #take(bytes: Buffer): Buffer<ArrayBuffer> {
    let at = 0;
    for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
      const record = readDenial(bytes.subarray(at, at + RECORD_BYTES));
      if (record !== undefined) this.#options.onDenial(record);
    }
    return Buffer.from(bytes.subarray(at));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the network is closed"));
    this.#child?.kill("SIGKILL");
    await this.#running;
  }
}
