// Writing a stranger's files below a directory that is ours alone. Nothing on the way may be a link: each directory on a
// path is looked at before anything is made in it, and nobody else writes there meanwhile.
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { ArchiveError, shown } from "./paths.ts";

export interface Attributes {
  /** Permission bits; the bits that make a program run as another are never kept. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly modifiedAt: number;
}

const IMPLICIT: Attributes = { mode: 0o755, uid: 0, gid: 0, modifiedAt: 0 };

export class Tree {
  readonly #root: string;
  /** Paths below the root that are known to be directories, reached through directories alone. */
  readonly #directories = new Set<string>([""]);

  constructor(root: string) {
    if (!lstatSync(root).isDirectory()) throw new TypeError("the root is no directory");
    this.#root = root;
  }

  /** Makes a directory, or gives another look to one that is there. */
  directory(components: readonly string[], attributes: Attributes): void {
    const path = this.#place(components);
    const kind = kindOf(path);
    if (kind === undefined) mkdirSync(path, { mode: 0o700 });
    else if (kind !== "directory")
      throw new ArchiveError(`a directory takes the name of a file: ${shown(components.join("/"))}`);
    this.#directories.add(components.join("/"));
    dress(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW), attributes, 0o1777);
  }

  /** Makes a file and writes what comes. */
  async file(
    components: readonly string[],
    attributes: Attributes,
    content: AsyncIterable<Uint8Array>,
    onChunk: (chunk: Uint8Array) => void,
  ): Promise<void> {
    const path = this.#fresh(components);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = openSync(path, flags, 0o600);
    try {
      for await (const chunk of content) {
        onChunk(chunk);
        for (let written = 0; written < chunk.length; ) written += writeSync(file, chunk, written);
      }
    } catch (error) {
      closeSync(file);
      throw error;
    }
    dress(file, attributes, 0o777);
  }

  /** Makes a symbolic link. Its text means something only inside the sandbox. */
  symlink(components: readonly string[], text: string, { uid, gid }: Attributes): void {
    const path = this.#fresh(components);
    symlinkSync(text, path);
    lchownSync(path, uid, gid);
  }

  /** Gives a file of this tree another name. */
  hardlink(components: readonly string[], target: readonly string[]): void {
    const from = this.#place(target, false);
    const kind = kindOf(from);
    if (kind !== "file" && kind !== "link") {
      throw new ArchiveError(`a hard link names no file before it: ${shown(target.join("/"))}`);
    }
    linkSync(from, this.#fresh(components));
  }

  /** What sandboxes are given a mount for: a directory, or an empty file, whatever the archive had there. */
  mountPoint(components: readonly string[], kind: "directory" | "file"): void {
    const path = this.#place(components);
    const found = kindOf(path);
    if (found === kind) return;
    if (found === "directory") throw new ArchiveError(`${shown(components.join("/"))} may not be a directory`);
    if (found !== undefined) rmSync(path);
    if (kind === "directory") this.directory(components, IMPLICIT);
    else
      dress(
        openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600),
        { ...IMPLICIT, mode: 0o644 },
        0o777,
      );
  }

  /** The path of something that is reached through directories alone. */
  pathOf(components: readonly string[]): string {
    return this.#place(components, false);
  }

  #fresh(components: readonly string[]): string {
    const path = this.#place(components);
    if (kindOf(path) !== undefined) throw new ArchiveError(`a name is there twice: ${shown(components.join("/"))}`);
    return path;
  }

  /** Missing directories on the way are made, where that is wished. */
  #place(components: readonly string[], make = true): string {
    if (components.length === 0) throw new ArchiveError("an entry names the root itself");
    for (let depth = 1; depth < components.length; depth += 1) {
      const above = components.slice(0, depth);
      const key = above.join("/");
      if (this.#directories.has(key)) continue;
      const path = join(this.#root, key);
      const kind = kindOf(path);
      if (kind === undefined && make) this.directory(above, IMPLICIT);
      else if (kind !== "directory") throw new ArchiveError(`a name leads through what is no directory: ${shown(key)}`);
      this.#directories.add(key);
    }
    return join(this.#root, components.join("/"));
  }
}

function kindOf(path: string): "directory" | "file" | "link" | "other" | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.isDirectory()) return "directory";
  if (found.isFile()) return "file";
  return found.isSymbolicLink() ? "link" : "other";
}

/** Sets what is to be known of an open file, and closes it. */
function dress(file: number, { mode, uid, gid, modifiedAt }: Attributes, mask: number): void {
  try {
    fchownSync(file, uid, gid);
    fchmodSync(file, mode & mask);
    futimesSync(file, modifiedAt, modifiedAt);
  } finally {
    closeSync(file);
  }
}
