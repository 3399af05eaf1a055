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

/** What was read of a journal. */
export interface StoredRoutes {
  readonly changes: readonly RouteChange[];
  /** Why it was not read to its end; what comes before still counts. */
  readonly problem: unknown;
}

export class RouteJournal implements Disposable {
  readonly #options: RouteJournalOptions;
  #file: number | undefined;
  #snapshotBytes = 0;
  #appendedBytes = 0;

  constructor(options: RouteJournalOptions) {
    this.#options = options;
  }

  /** Reads what an earlier life has left. Never throws. */
  read(): StoredRoutes {
    const { path, platformId } = this.#options;
    const changes: RouteChange[] = [];
    try {
      const size = sizeOf(path);
      if (size === undefined) return { changes, problem: undefined };
      if (size > MAX_FILE_BYTES) throw new Error(`${path} has ${size} bytes; ${MAX_FILE_BYTES} are the most`);
      const [first = "", ...lines] = readFileSync(path, "utf8").split("\n");
      if (header.parse(JSON.parse(first)).platformId !== platformId) throw new Error(`${path} is of another platform`);
      // What follows the last line's end was being written when the process was killed: it was never acknowledged.
      for (const line of lines.slice(0, -1)) changes.push(parseStoredChange(JSON.parse(line)));
      return { changes, problem: undefined };
    } catch (problem) {
      return { changes, problem };
    }
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
