// What an edge writes down of each thing that is over: one line, in the words of its app.
import type { DayLogOptions } from "./day-log.ts";
import { DayLog } from "./day-log.ts";

/** How an app writes its entries. */
interface Wording<Entry> {
  /** Whether it was brought about by somebody who has shown nothing: such entries get their share of a day, and no more. */
  readonly isStranger: (entry: Entry) => boolean;
  /** What stands between a line's time and its end: members of a JSON object in ASCII alone. */
  readonly fieldsOf: (entry: Entry) => string;
}

export class AccessLog<Entry> implements AsyncDisposable {
  readonly #days: DayLog;
  readonly #wording: Wording<Entry>;

  private constructor(days: DayLog, wording: Wording<Entry>) {
    this.#days = days;
    this.#wording = wording;
  }

  static async open<Entry>(options: DayLogOptions, wording: Wording<Entry>): Promise<AccessLog<Entry>> {
    return new AccessLog(await DayLog.open(options), wording);
  }

  /** Lines that were not written, since the start. */
  get dropped(): number {
    return this.#days.dropped;
  }

  write(entry: Entry): void {
    const isStranger = this.#wording.isStranger(entry);
    if (this.#days.hasRoom(isStranger)) this.#days.add(this.#wording.fieldsOf(entry), isStranger);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#days[Symbol.asyncDispose]();
  }
}
