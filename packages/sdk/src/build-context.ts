// The context of a build as an archive: the same bytes each time it is read, in flat memory, without what .dockerignore
// leaves out.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { sdkError } from "./errors.ts";

export interface BuildContext {
  /** Bytes of the archive. */
  readonly size: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /** The archive from an offset, in pieces of at most 1 MiB. */
  read(offset: number): AsyncIterable<Uint8Array>;
}

const PIECE_BYTES = 512 * 1024;

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly size: number;
  readonly modifiedAt: Date;
}

/** Looks through the directory, and at every byte once: its size and hash name the context. */
export async function openContext(directory: string, signal: AbortSignal): Promise<BuildContext> {
  const entries = await listEntries(directory, signal);
  const hash = createHash("sha256");
  let size = 0;
  for await (const piece of archiveOf(entries)) {
    signal.throwIfAborted();
    hash.update(piece);
    size += piece.length;
  }
  return { size, sha256: hash.digest("hex"), read: (offset) => from(offset, archiveOf(entries)) };
}

async function* from(offset: number, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let skip = offset;
  for await (const piece of pieces) {
    const rest = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - rest.length;
    for (let at = 0; at < rest.length; at += PIECE_BYTES) yield rest.subarray(at, at + PIECE_BYTES);
  }
}

async function listEntries(directory: string, signal: AbortSignal): Promise<Entry[]> {
  const isLeftOut = await ignoreRules(directory);
  const entries: Entry[] = [];
  const walk = async (below: string): Promise<void> => {
    signal.throwIfAborted();
    const names = (await readdir(join(directory, below))).sort();
    for (const each of names) {
      const name = below === "" ? each : `${below}/${each}`;
      const path = join(directory, name);
      const { mode, size, mtime, ...found } = await look(path);
      if (found.kind === undefined) continue; // a socket or a device has no place in a context
      const entry = { name, path, kind: found.kind, mode: mode & 0o777, size, modifiedAt: mtime };
      // A directory is looked through even so: a later rule may take a part of it in again.
      if (!isLeftOut(name)) entries.push(entry);
      if (found.kind === "directory") await walk(name);
    }
  };
  try {
    await walk("");
  } catch (error) {
    if (signal.aborted) throw error;
    throw sdkError("InvalidArgument", `context: ${directory} cannot be read`, { field: "context", cause: error });
  }
  return entries;
}

async function look(path: string) {
  const found = await lstat(path);
  const kind = found.isFile()
    ? ("file" as const)
    : found.isDirectory()
      ? ("directory" as const)
      : found.isSymbolicLink()
        ? ("symlink" as const)
        : undefined;
  return { kind, mode: found.mode, size: found.size, mtime: found.mtime };
}

async function ignoreRules(directory: string): Promise<(name: string) => boolean> {
  let text: string;
  try {
    text = await readFile(join(directory, ".dockerignore"), "utf8");
  } catch {
    return () => false; // there is none
  }
  const { default: loaded } = await import("@balena/dockerignore");
  const dockerignore = loaded.default;
  const rules = dockerignore().add(text);
  return (name) => rules.ignores(name);
}

/** The packer is loaded when the first context is sent. */
async function* archiveOf(entries: readonly Entry[]): AsyncGenerator<Uint8Array, void> {
  const { pack } = await import("tar-stream");
  const tar = pack();
  const filling = fill(tar, entries).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  for await (const piece of tar) yield piece as Uint8Array;
  await filling;
}

type Pack = ReturnType<typeof import("tar-stream")["pack"]>;

async function fill(tar: Pack, entries: readonly Entry[]): Promise<void> {
  for (const { name, path, kind, mode, size, modifiedAt } of entries) {
    const header = { name, mode, mtime: modifiedAt, uid: 0, gid: 0 };
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error | null) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      };
      if (kind === "directory") tar.entry({ ...header, type: "directory", size: 0 }, settle).end(null);
      else if (kind === "symlink") {
        const link = (linkname: string) =>
          tar.entry({ ...header, type: "symlink", linkname, size: 0 }, settle).end(null);
        readlink(path).then(link, reject);
      } else copyFile(tar, path, { ...header, type: "file", size }, settle).catch(reject);
    });
  }
}

/** Exactly so many bytes: a file that grows meanwhile is cut, one that shrinks is an error. */
async function copyFile(
  tar: Pack,
  path: string,
  header: Parameters<Pack["entry"]>[0] & { readonly size: number },
  settle: (error?: Error | null) => void,
): Promise<void> {
  const sink = tar.entry(header, settle);
  if (header.size > 0) {
    for await (const chunk of createReadStream(path, { end: header.size - 1, highWaterMark: PIECE_BYTES })) {
      if (!sink.write(chunk)) await new Promise<void>((resolve) => sink.once("drain", () => resolve()));
    }
  }
  sink.end(null);
}
