// Files on their way into one sandbox, piece by piece under the caller's write ids. A piece that is repeated, or comes
// before its turn, does no harm; a write whose next piece does not come is given up, and leaves nothing behind.
import { AppError, invalidArgument, isAppError } from "@sallyport/appkit/errors";
import {
  MAX_FINISHED_WRITES,
  MAX_OPEN_WRITES,
  MAX_WAITING_PIECES,
  WRITE_IDLE_MS,
  WRITE_REMEMBERED_MS,
} from "../limits.ts";
import { Change, withSignal } from "../wait.ts";
import type { StreamProcess } from "./stream-process.ts";
import type { ToolHost } from "./tool.ts";
import { startTool, toolAnswers } from "./tool.ts";
import { toolKilled } from "./tool-error.ts";
import { inputDataHead, inputEnd, outOfShape } from "./tool-records.ts";

/** One piece of a file. */
export interface Piece {
  readonly writeId: string;
  readonly path: string;
  readonly offset: number;
  readonly data: Buffer;
  readonly end: boolean;
  /** Permission bits of a new file. */
  readonly mode: number;
}

export class OpenWrites {
  readonly #host: ToolHost;
  readonly #byId = new Map<string, OpenWrite>();

  constructor(host: ToolHost) {
    this.#host = host;
  }

  /**
   * Takes a piece and resolves with the offset below which all is written; with the last one, the file is in its place.
   * Rejects with NotFound (`write_id`) for a write that was given up, InvalidArgument, ResourceExhausted, and with
   * whatever the sandbox says of the file.
   */
  async write(piece: Piece, signal: AbortSignal): Promise<number> {
    const { offset, path, writeId } = piece;
    let open = this.#byId.get(writeId);
    if (open === undefined) {
      if (offset !== 0) {
        throw givenUp();
      }
      this.#makeRoom();
      open = new OpenWrite(this.#host, piece, () => this.#byId.delete(writeId));
      this.#byId.set(writeId, open);
    }
    if (open.path !== path) throw invalidArgument("write_id", "is in use for another file");
    return await open.write(piece, signal);
  }

  /** The sandbox is gone, or the gateway goes. */
  terminate(): void {
    for (const open of this.#byId.values()) open.giveUp();
    this.#byId.clear();
  }

  #makeRoom(): void {
    const all = [...this.#byId.values()];
    if (all.filter((open) => !open.finished).length >= MAX_OPEN_WRITES) {
      throw new AppError("ResourceExhausted", `${MAX_OPEN_WRITES} files are being written already`, {
        hint: "write fewer at the same time",
      });
    }
    const finished = all.filter((open) => open.finished);
    for (const open of finished.slice(0, Math.max(0, finished.length - MAX_FINISHED_WRITES + 1))) open.giveUp();
  }
}

class OpenWrite {
  readonly path: string;
  readonly #host: ToolHost;
  readonly #onGone: () => void;
  readonly #stop = new AbortController();
  readonly #change = new Change();
  #process: StreamProcess | undefined;
  /** Everything below is written, or is being written by the piece whose turn it is. */
  #taken = 0;
  #accepted = 0;
  #turn = false;
  #pieces = 0;
  /** The file is in its place, or cannot be. */
  #done = false;
  #failure: Error | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: ToolHost, { mode, path }: Piece, onGone: () => void) {
    this.path = path;
    this.#host = host;
    this.#onGone = onGone;
    void this.#begin(mode);
  }

  get finished(): boolean {
    return this.#done || this.#failure !== undefined;
  }

  async write(piece: Piece, signal: AbortSignal): Promise<number> {
    if (this.#pieces >= MAX_WAITING_PIECES) {
      throw new AppError("ResourceExhausted", `${MAX_WAITING_PIECES} pieces of this file wait already`);
    }
    this.#pieces += 1;
    clearTimeout(this.#timer);
    try {
      return await this.#inTurn(piece, AbortSignal.any([signal, this.#stop.signal]));
    } finally {
      this.#pieces -= 1;
      if (this.#pieces === 0 && !this.#stop.signal.aborted) this.#rest();
    }
  }

  /** Nothing is left of it but, in the sandbox, a file that was finished. */
  giveUp(): void {
    clearTimeout(this.#timer);
    this.#stop.abort(givenUp());
    if (this.#process !== undefined) this.#host.streams.leave(this.#process);
    this.#onGone();
  }

  async #begin(mode: number): Promise<void> {
    const { signal } = this.#stop;
    try {
      const process = await startTool(this.#host, ["write", this.path, mode.toString(8)], signal);
      this.#process = process;
      this.#change.announce();
      await this.#hear(process, signal);
      this.#done = true;
    } catch (error) {
      // Whatever ran over a link that broke is lost: the caller begins again.
      const lost = isAppError(error, "Unavailable") || !(error instanceof Error);
      this.#failure = lost ? givenUp(error) : error;
    }
    if (this.#process !== undefined) this.#host.streams.leave(this.#process);
    this.#change.announce();
    if (this.#pieces === 0 && !signal.aborted) this.#rest();
  }

  /** What the tool says in the end: that it has put the whole file in its place, or why not. */
  async #hear(process: StreamProcess, signal: AbortSignal): Promise<void> {
    for await (const answers of toolAnswers(process, signal)) {
      for (const answer of answers) {
        if (answer.type !== "end" || answer.number !== this.#taken) throw outOfShape();
      }
    }
  }

  async #inTurn({ offset, data, end }: Piece, signal: AbortSignal): Promise<number> {
    const target = offset + data.length;
    while (!this.finished && (this.#turn || this.#process === undefined || offset > this.#taken)) {
      await this.#change.next(signal);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#done) {
      if (target > this.#taken || (end && target !== this.#taken)) throw beyondEnd(this.#taken);
      return this.#accepted;
    }
    if (end && target < this.#taken) throw beyondEnd(this.#taken);
    this.#turn = true;
    const passing = this.#pass(data.subarray(this.#taken - offset), end).finally(() => {
      this.#turn = false;
      this.#change.announce();
    });
    // Once begun, a piece goes its way whether or not its caller waits: the next one builds on it.
    await withSignal(passing, signal);
    return this.#accepted;
  }

  async #pass(fresh: Buffer, end: boolean): Promise<void> {
    const process = this.#process;
    if (process === undefined) throw toolKilled();
    const { signal: stopped } = this.#stop;
    let reads = true;
    if (fresh.length > 0) {
      this.#taken += fresh.length;
      reads = await process.feed(inputDataHead(fresh.length), stopped);
      reads = reads && (await process.feed(fresh, stopped));
      this.#accepted = this.#taken;
    }
    if (end) reads = reads && (await process.feed(inputEnd(this.#taken), stopped));
    // A tool that reads no more has said why, or is about to.
    while ((end || !reads) && !this.finished) await this.#change.next(stopped);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Between two pieces, and after the last one. */
  #rest(): void {
    clearTimeout(this.#timer);
    const ms = this.finished ? WRITE_REMEMBERED_MS : WRITE_IDLE_MS;
    this.#timer = setTimeout(() => this.giveUp(), ms).unref();
  }
}

function givenUp(cause?: unknown): AppError {
  return new AppError("NotFound", "the write was given up, or never begun", {
    field: "write_id",
    hint: "begin again at offset 0 with another write_id",
    cause,
  });
}

function beyondEnd(end: number): AppError {
  return invalidArgument("offset", `the file is ${end} bytes long already`);
}
