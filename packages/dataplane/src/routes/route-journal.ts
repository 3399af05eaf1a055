// The table on disk, so that an edge that is restarted while the api is down serves as before, and refuses what was
// revoked. A file of lines: a header, a snapshot, then each later step as it came. A step is appended before it is
// acknowledged to the api; now and then the whole is written anew, and takes the old one's place in one rename.
import type { Stats } from "node:fs";
import { closeSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { RouteChange } from "./change.ts";
import { parseStoredChange } from "./change.ts";
import { MAX_FILE_BYTES, MIN_REWRITE_BYTES } from "./limits.ts";

const FORMAT = "sallyport-routes-1";
/** The edge's own: it holds what is revoked, and where sandboxes are. */
const MODE = 0o600;

const header = z.object({ format: z.literal(FORMAT), platformId: z.string() });

export interface RouteJournalOptions {
  readonly path: string;
  readonly platformId: string;
  /** The whole table, as one step that begins anew. */
  readonly snapshot: () => RouteChange;
}

export class RouteJournal implements Disposable {
  readonly #options: RouteJournalOptions;
  #file: number | undefined;
  #snapshotBytes = 0;
  #appendedBytes = 0;

  constructor(options: RouteJournalOptions) {
    this.#options = options;
  }

  /**
   * What an earlier life has left, oldest first. Throws for anything else than a journal of this platform's that is whole,
   * but for a last line without an end: that was being written when the process was killed, and was never acknowledged.
   */
  read(): readonly RouteChange[] {
    const { path, platformId } = this.#options;
    const size = sizeOf(path);
    if (size === undefined) return [];
    if (size > MAX_FILE_BYTES) throw new Error(`${path} has ${size} bytes; ${MAX_FILE_BYTES} are the most`);
    const [first = "", ...lines] = readFileSync(path, "utf8").split("\n");
    if (header.parse(JSON.parse(first)).platformId !== platformId) throw new Error(`${path} is of another platform`);
    return lines.slice(0, -1).map((line) => parseStoredChange(JSON.parse(line)));
  }

  /**
   * Keeps a step that the table has taken. Throws when it cannot; the next call then writes the whole table. Without a
   * step only that is made up for.
   */
  save(change: RouteChange | undefined): void {
    if (this.#file === undefined || change?.reset === true || this.#isLong) {
      this.#rewrite();
      return;
    }
    if (change === undefined) return;
    try {
      this.#appendedBytes += append(this.#file, change);
    } catch (error) {
      this.#close(); // half a line may be there
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  get #isLong(): boolean {
    return this.#appendedBytes > Math.max(MIN_REWRITE_BYTES, this.#snapshotBytes);
  }

  #rewrite(): void {
    const { path, platformId, snapshot } = this.#options;
    this.#close();
    const fresh = `${path}.new`;
    const file = openSync(fresh, "w", MODE);
    try {
      append(file, { format: FORMAT, platformId });
      this.#snapshotBytes = append(file, snapshot());
      renameSync(fresh, path);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    this.#file = file;
    this.#appendedBytes = 0;
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** Writes a value as a line; returns its bytes. */
function append(file: number, value: object): number {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  writeFileSync(file, line); // from where the file stands: to its end
  return line.length;
}

function sizeOf(path: string): number | undefined {
  const found: Stats | undefined = statSync(path, { throwIfNoEntry: false });
  return found?.size;
}
