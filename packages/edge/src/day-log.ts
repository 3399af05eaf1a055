// Lines of JSON in a file per day: written some at a time, kept for some days, and counted instead of written where the
// disk does not take them in time.
import { statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import { ACCESS_LOG_DAY_BYTES, ACCESS_LOG_DAYS, ACCESS_LOG_FLUSH_MS, ACCESS_LOG_WAITING_BYTES } from "./edge-limits.ts";

export interface DayLogOptions {
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

const DAY_FILE = /^access-\d{4}-\d{2}-\d{2}\.log$/;
/** More than any line has. */
const BUFFER_BYTES = 131_072;

export class DayLog implements AsyncDisposable {
  readonly #options: DayLogOptions;
  /** Lines are copied at once: texts that wait for the disk cost more to keep than to write. */
  #waiting: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #waitingBytes = 0;
  #waitingLines = 0;
  /** Handed to the disk, and not there yet. */
  #writingBytes = 0;
  #dropped = 0;
  #day = "";
  #file: FileHandle | undefined;
  #fileBytes = 0;
  /** Of the day's, those of strangers, who have shown nothing: they get no more than half, whoever sends them. */
  #strangersBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** When the last line was written, and the text of its second and of itself. */
  #nowMs = -1;
  #second = -1;
  #secondText = "";
  #nowText = "";

  private constructor(options: DayLogOptions) {
    this.#options = options;
  }

  static async open(options: DayLogOptions): Promise<DayLog> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const log = new DayLog(options);
    // Of what an earlier life has written today nobody knows whose it was.
    log.#day = dayOf(options.now());
    log.#strangersBytes = statSync(join(options.directory, fileOf(log.#day)), { throwIfNoEntry: false })?.size ?? 0;
    return log;
  }

  /** Lines that were not written, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether a line would be taken now; one that would not is counted. To be asked before each line is put together. */
  hasRoom(isStranger: boolean): boolean {
    const isFull = this.#waitingBytes + this.#writingBytes > ACCESS_LOG_WAITING_BYTES;
    if (!isFull && !(isStranger && this.#strangersBytes > ACCESS_LOG_DAY_BYTES / 2)) return true;
    this.#dropped += 1;
    return false;
  }

  /** Takes a line: what stands between its time and its end, members of a JSON object in ASCII alone. */
  add(fields: string, isStranger: boolean): void {
    const line = `{"time":"${this.#time()}",${fields}}\n`; // as many bytes as characters
    if (line.length > BUFFER_BYTES) throw new RangeError(`a line of the access log has ${line.length} bytes`);
    if (isStranger) this.#strangersBytes += line.length;
    if (this.#waitingBytes + line.length > BUFFER_BYTES) this.#flush();
    this.#waitingBytes += this.#waiting.write(line, this.#waitingBytes, "latin1");
    this.#waitingLines += 1;
    this.#timer ??= setTimeout(() => this.#flush(), ACCESS_LOG_FLUSH_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#flush();
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  /** ISO 8601 in UTC; the date's part is made once a second, the rest once a millisecond. */
  #time(): string {
    const now = this.#options.now();
    if (now === this.#nowMs) return this.#nowText;
    this.#nowMs = now;
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1_000).toISOString().slice(0, 19);
    }
    const milliseconds = String(now - second * 1_000).padStart(3, "0");
    this.#nowText = `${this.#secondText}.${milliseconds.slice(0, 3)}Z`;
    return this.#nowText;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waitingLines === 0) return;
    const bytes = this.#waiting.subarray(0, this.#waitingBytes);
    const lines = this.#waitingLines;
    this.#waiting = Buffer.allocUnsafe(BUFFER_BYTES);
    this.#waitingBytes = 0;
    this.#waitingLines = 0;
    this.#writingBytes += bytes.length;
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#append(bytes, lines);
      } catch (error) {
        this.#dropped += lines;
        this.#options.logger.error({ err: error, lines }, "access log not written");
      }
      this.#writingBytes -= bytes.length;
    });
  }

  async #append(bytes: Buffer, lines: number): Promise<void> {
    await this.#turn();
    if (this.#file === undefined || this.#fileBytes + bytes.length > ACCESS_LOG_DAY_BYTES) {
      this.#dropped += lines;
      return;
    }
    await this.#file.appendFile(bytes);
    this.#fileBytes += bytes.length;
  }

  /** Opens the day's file, and removes those that are too old. */
  async #turn(): Promise<void> {
    const day = dayOf(this.#options.now());
    if (day === this.#day && this.#file !== undefined) return;
    const { directory } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    this.#file = await open(join(directory, fileOf(day)), "a", 0o600);
    this.#fileBytes = (await this.#file.stat()).size;
    if (day !== this.#day) this.#strangersBytes = 0;
    this.#day = day;
    const days = (await readdir(directory)).filter((name) => DAY_FILE.test(name)).sort();
    for (const old of days.slice(0, -ACCESS_LOG_DAYS)) await rm(join(directory, old), { force: true });
  }
}

/** "2026-11-29", in UTC. */
function dayOf(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 10);
}

function fileOf(day: string): string {
  return `access-${day}.log`;
}
