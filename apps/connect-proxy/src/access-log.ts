// One line for each exchange, as JSON, in a file per day. No token, no query (an app's own secrets may be in it), no
// header. Lines are written some at a time, and those that the disk does not take in time are counted instead.
import { statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "@sallyport/appkit/logger";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import { TOKEN_PREFIX } from "@sallyport/connect-token/verify";
import {
  ACCESS_LOG_DAY_BYTES,
  ACCESS_LOG_DAYS,
  ACCESS_LOG_FLUSH_MS,
  ACCESS_LOG_TEXT_CHARACTERS,
  ACCESS_LOG_WAITING_BYTES,
} from "./edge-limits.ts";
import type { ExchangeEnd, RefusalAbout } from "./exchange.ts";

export interface AccessLogOptions {
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

const DAY_FILE = /^access-\d{4}-\d{2}-\d{2}\.log$/;
/** More than any line has. */
const BUFFER_BYTES = 131_072;
/** Something that JSON would have to escape, or a terminal would obey. */
const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

export class AccessLog implements AsyncDisposable {
  readonly #options: AccessLogOptions;
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
  /** Of the day's, those of requests without a good token: they get no more than half, whoever sends them. */
  #strangersBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** When the last line was written, and the text of its second and of itself. */
  #nowMs = -1;
  #second = -1;
  #secondText = "";
  #nowText = "";

  private constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  static async open(options: AccessLogOptions): Promise<AccessLog> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const log = new AccessLog(options);
    // Of what an earlier life has written today nobody knows whose it was.
    log.#day = dayOf(options.now());
    log.#strangersBytes = statSync(join(options.directory, fileOf(log.#day)), { throwIfNoEntry: false })?.size ?? 0;
    return log;
  }

  /** Lines that were not written, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  write(end: ExchangeEnd): void {
    const isStranger = end.grant === undefined;
    if (
      this.#waitingBytes + this.#writingBytes > ACCESS_LOG_WAITING_BYTES ||
      (isStranger && this.#strangersBytes > ACCESS_LOG_DAY_BYTES / 2)
    ) {
      this.#dropped += 1;
      return;
    }
    const line = `{"time":"${this.#time()}",${fieldsOf(end)}}\n`; // ASCII alone: as many bytes as characters
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

function fieldsOf({ about, code, grant, inBytes, ms, outBytes, outcome, protocol, status }: ExchangeEnd): string {
  const tenths = Math.round(ms * 10);
  return (
    `"requestId":${text(about.requestId)},${whoOf(about, grant)},"protocol":"${protocol}",` +
    `"method":${text(about.method)},"path":${text(pathOf(about.target))},` +
    `"status":${status},"code":${text(code)},"outcome":"${outcome}","inBytes":${inBytes},"outBytes":${outBytes},` +
    `"ms":${(tenths - (tenths % 10)) / 10}.${tenths % 10}`
  );
}

/** By the token: the address that it came from last, and the part of a line that says so. */
const known = new WeakMap<ConnectGrant, { readonly peer: string | undefined; readonly text: string }>();

function whoOf({ peerAddress, sandboxId }: RefusalAbout, grant: ConnectGrant | undefined): string {
  if (grant === undefined || grant.sandboxId !== sandboxId) return whoText(peerAddress, sandboxId, grant?.id);
  const last = known.get(grant);
  if (last !== undefined && last.peer === peerAddress) return last.text;
  // In one piece, for it is written again and again. ASCII, as the line is.
  const made = Buffer.from(whoText(peerAddress, grant.sandboxId, grant.id), "latin1").toString("latin1");
  known.set(grant, { peer: peerAddress, text: made });
  return made;
}

function whoText(peer: string | undefined, sandboxId: string | undefined, tokenId: string | undefined): string {
  return `"peer":${text(peer)},"sandboxId":${text(sandboxId)},"tokenId":${text(tokenId)}`;
}

/** Without its query, and up to a connect token that somebody has put into it. */
function pathOf(target: string | undefined): string | undefined {
  const query = target?.indexOf("?") ?? -1;
  const path = query === -1 ? target : target?.slice(0, query);
  const token = path?.indexOf(TOKEN_PREFIX) ?? -1;
  return token === -1 ? path : path?.slice(0, token);
}

function text(value: string | undefined): string {
  if (value === undefined) return "null";
  const short = value.length > ACCESS_LOG_TEXT_CHARACTERS ? value.slice(0, ACCESS_LOG_TEXT_CHARACTERS) : value;
  return UNSAFE.test(short) ? escaped(short) : `"${short}"`;
}

function escaped(value: string): string {
  const code = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, code);
}
