// Contexts of builds: files in a directory of the api's own while their image is in the making.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

export interface BuildContexts {
  /** How many bytes of it are there. */
  size(imageId: string): Promise<number>;
  /** Adds what is new of a piece; answers how many bytes are there now. A piece beyond the end adds nothing. */
  append(imageId: string, offset: number, data: Uint8Array): Promise<number>;
  /** SHA-256 of all of it, in hexadecimal. */
  hash(imageId: string): Promise<string>;
  /** From an offset, in pieces of at most 256 KiB. */
  read(imageId: string, offset: number): AsyncIterable<Uint8Array>;
  remove(imageId: string): Promise<void>;
  /** The images that have a file here. */
  list(): Promise<string[]>;
}

const PIECE_BYTES = 256 * 1024;

export async function openBuildContexts(directory: string): Promise<BuildContexts> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pathOf = (imageId: string) => join(directory, imageId);
  // One append of an image at a time: each begins where the file ends.
  const turns = new Map<string, Promise<unknown>>();

  const size = async (imageId: string) => {
    try {
      return (await stat(pathOf(imageId))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
      throw error;
    }
  };
  const append = async (imageId: string, offset: number, data: Uint8Array) => {
    const file = await open(pathOf(imageId), "a", 0o600);
    try {
      const there = (await file.stat()).size;
      if (offset > there || offset + data.length <= there) return there;
      const fresh = data.subarray(there - offset);
      await file.appendFile(fresh);
      return there + fresh.length;
    } finally {
      await file.close();
    }
  };

  return {
    size,
    append(imageId, offset, data) {
      const before = turns.get(imageId) ?? Promise.resolve();
      const run = () => append(imageId, offset, data);
      const turn = before.then(run, run);
      turns.set(imageId, turn);
      const forget = () => {
        if (turns.get(imageId) === turn) turns.delete(imageId);
      };
      turn.then(forget, forget);
      return turn;
    },
    async hash(imageId) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(pathOf(imageId))) hash.update(chunk as Buffer);
      return hash.digest("hex");
    },
    read: (imageId, offset) =>
      createReadStream(pathOf(imageId), { start: offset, highWaterMark: PIECE_BYTES }) as AsyncIterable<Uint8Array>,
    remove: (imageId) => rm(pathOf(imageId), { force: true }),
    list: () => readdir(directory),
  };
}
