// Sums denials up, so that a flood of them comes to a few events: by destination within a second, bounded by slot. What
// is beyond the bounds is one number, and none is lost: the kernel counts all that it denies.

import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { DenialRecord } from "./denial-record.ts";
import { type DenialWords, protocolName } from "./denial-words.ts";
import { messageOf } from "./errors.ts";

const WINDOW_MS = 1_000;
/** Destinations told of one slot in one window. */
const MAX_KEYS = 20;
/** Events told of one slot in one minute. */
const MAX_EVENTS = 100;
const MINUTE_MS = 60_000;

/** Of one destination, or of all that were not told one by one. */
export type DenialDetail =
  | {
      readonly destination: string;
      readonly port?: number;
      readonly protocol: string;
      readonly rule: string;
      readonly hint: string;
      readonly count: number;
    }
  | { readonly more: number };

export interface DenialBookOptions {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Logger;
  /** Undefined for a slot that is not handed out. */
  readonly describe: (record: DenialRecord) => DenialWords | undefined;
  /** Packets of a slot that were denied since its rules were loaded; undefined where it has none. */
  readonly total: (slot: number) => Promise<number | undefined>;
  readonly tell: (slot: number, details: readonly DenialDetail[]) => void;
  /** 1,000 ms when unset. */
  readonly windowMs?: number;
}

interface Sum extends DenialWords {
  readonly record: DenialRecord;
  count: number;
}

interface SlotBook {
  readonly sums: Map<string, Sum>;
  /** Packets looked at in this window, those without a sum included. */
  seen: number;
  /** Told by nobody yet. */
  more: number;
  /** All that was looked at, or went into `more`. */
  accounted: number;
  /** What the kernel had counted when the window before ended: by now the log has told all that it will of it. */
  counted: number;
  minuteEndsAt: number;
  events: number;
}

export class DenialBook implements AsyncDisposable {
  readonly #options: DenialBookOptions;
  readonly #books = new Map<number, SlotBook>();
  /** Slots to look at when the window ends. */
  readonly #active = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DenialBookOptions) {
    this.#options = options;
  }

  add(record: DenialRecord): void {
    if (this.#isClosed) return;
    const key = `${record.prefix} ${record.destination} ${record.protocol} ${record.port ?? ""}`;
    const book = this.#bookOf(record.slot);
    const sum = book.sums.get(key);
    if (sum !== undefined) sum.count += 1;
    else if (book.sums.size < MAX_KEYS) {
      const words = this.#options.describe(record);
      if (words === undefined) {
        this.forget(record.slot);
        return;
      }
      book.sums.set(key, { record, rule: words.rule, hint: words.hint, count: 1 });
    }
    book.seen += 1;
    this.#active.add(record.slot);
    this.#schedule();
  }

  /** The slot is another's from now on, or nobody's. */
  forget(slot: number): void {
    this.#books.delete(slot);
    this.#active.delete(slot);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#closing = this.#endWindow();
    }, this.#options.windowMs ?? WINDOW_MS);
  }

  async #endWindow(): Promise<void> {
    for (const slot of Array.from(this.#active)) {
      const book = this.#books.get(slot);
      if (book === undefined) continue;
      try {
        await this.#endOne(slot, book);
      } catch (error) {
        this.#options.logger.warn({ slot, error: messageOf(error) }, "denials could not be summed up");
      }
    }
    if (this.#active.size > 0) this.#schedule();
  }

  async #endOne(slot: number, book: SlotBook): Promise<void> {
    const sums = [...book.sums.values()];
    const { seen } = book;
    book.sums.clear();
    book.seen = 0;
    const total = await this.#options.total(slot);
    if (this.#books.get(slot) !== book) return; // forgotten meanwhile
    if (total !== undefined && total < book.counted) {
      // The table was loaded anew, and counts from 0.
      book.accounted = 0;
      book.counted = 0;
    }
    book.accounted += seen;
    const silent = Math.max(0, book.counted - book.accounted);
    book.accounted += silent;
    book.more += seen - sums.reduce((sum, { count }) => sum + count, 0) + silent;
    const isStill = seen === 0 && (total ?? book.counted) === book.counted;
    book.counted = total ?? book.counted;
    const details = this.#within(book, sums);
    if (details.length > 0) this.#options.tell(slot, details);
    if (isStill && book.more === 0 && book.seen === 0) this.#active.delete(slot);
  }

  /** What may be told now; the rest goes to what is told as one number, now or later. */
  #within(book: SlotBook, sums: readonly Sum[]): DenialDetail[] {
    const now = this.#options.clock.monotonicMs();
    if (now >= book.minuteEndsAt) {
      book.minuteEndsAt = now + MINUTE_MS;
      book.events = 0;
    }
    // One is kept for the number.
    const room = Math.max(0, MAX_EVENTS - book.events - 1);
    const details: DenialDetail[] = sums.slice(0, room).map(detailOf);
    book.more += sums.slice(room).reduce((sum, { count }) => sum + count, 0);
    if (book.more > 0 && book.events + details.length < MAX_EVENTS) {
      details.push({ more: book.more });
      book.more = 0;
    }
    book.events += details.length;
    return details;
  }

  #bookOf(slot: number): SlotBook {
    let book = this.#books.get(slot);
    if (book === undefined) {
      book = {
        sums: new Map(),
        seen: 0,
        more: 0,
        accounted: 0,
        counted: 0,
        minuteEndsAt: Number.NEGATIVE_INFINITY,
        events: 0,
      };
      this.#books.set(slot, book);
    }
    return book;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#closing;
  }
}

function detailOf({ record, rule, hint, count }: Sum): DenialDetail {
  const { destination, port } = record;
  const protocol = protocolName(record);
  return { destination, ...(port === undefined ? {} : { port }), protocol, rule, hint, count };
}
