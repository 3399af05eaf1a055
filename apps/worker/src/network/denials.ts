// From the kernel's log of denied packets to what an instance tells about them.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { DenialBook, type DenialDetail } from "./denial-book.ts";
import { DenialReader } from "./denial-reader.ts";
import { type DenialContext, denialWords } from "./denial-words.ts";

export interface DenialsOptions {
  /** Path of sallyport-denials. */
  readonly program: string;
  readonly routerNetnsPath: string;
  /** Undefined for a slot that is not handed out. */
  readonly contextOf: (slot: number) => DenialContext | undefined;
  /** Packets of a slot that were denied since its rules were loaded. */
  readonly total: (slot: number) => Promise<number | undefined>;
  readonly onDenials: (slot: number, details: readonly DenialDetail[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Denials implements AsyncDisposable {
  readonly #book: DenialBook;
  readonly #reader: DenialReader;

  constructor(options: DenialsOptions) {
    const { clock, contextOf, logger, onDenials, program, routerNetnsPath, total } = options;
    this.#book = new DenialBook({
      clock,
      logger,
      total,
      tell: onDenials,
      describe: (record) => {
        const context = contextOf(record.slot);
        return context === undefined ? undefined : denialWords(record, context);
      },
    });
    this.#reader = new DenialReader({
      program,
      routerNetnsPath,
      clock,
      logger,
      onDenial: (record) => this.#book.add(record),
    });
  }

  /** The slot is nobody's any more. */
  forget(slot: number): void {
    this.#book.forget(slot);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]();
    await this.#book[Symbol.asyncDispose]();
  }
}
