// Names in archives of strangers: which of them may name something below a directory.

const ARCHIVE_LIMITS = { pathBytes: 4_000, componentBytes: 255, depth: 128, linkBytes: 4_000 } as const;

/** An archive that is refused. Its message is for the tenant. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
  readonly code = "BadArchive" as const;
}

/** The components of a name below the root; none for the root itself. Throws ArchiveError for what leads out, or is no name. */
export function componentsOf(name: string): string[] {
  if (name.includes("\0")) throw new ArchiveError(`a name holds a NUL: ${shown(name)}`);
  if (name.startsWith("/")) throw new ArchiveError(`a name is absolute: ${shown(name)}`);
  if (Buffer.byteLength(name) > ARCHIVE_LIMITS.pathBytes) throw new ArchiveError(`a name is too long: ${shown(name)}`);
  const components = name.split("/").filter((part) => part !== "" && part !== ".");
  if (components.includes("..")) throw new ArchiveError(`a name leads out by "..": ${shown(name)}`);
  if (components.length > ARCHIVE_LIMITS.depth) throw new ArchiveError(`a name is too deep: ${shown(name)}`);
  if (components.some((part) => Buffer.byteLength(part) > ARCHIVE_LIMITS.componentBytes)) {
    throw new ArchiveError(`a part of a name is too long: ${shown(name)}`);
  }
  return components;
}

/** The text of a symbolic link. It is kept as it is and never followed. */
export function linkTextOf(name: string, text: string | null | undefined): string {
  if (text === null || text === undefined || text === "")
    throw new ArchiveError(`a link has no target: ${shown(name)}`);
  if (text.includes("\0") || Buffer.byteLength(text) > ARCHIVE_LIMITS.linkBytes) {
    throw new ArchiveError(`a link has a target that is none: ${shown(name)}`);
  }
  return text;
}

/** A name for a message: on one line, not too long. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
}

/** Counts entries and bytes of an archive, and throws ArchiveError beyond the bounds. */
export class Tally {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  entries = 0;
  bytes = 0;

  constructor(limits: { readonly maxEntries: number; readonly maxBytes: number }) {
    this.#maxEntries = limits.maxEntries;
    this.#maxBytes = limits.maxBytes;
  }

  entry(): void {
    this.entries += 1;
    if (this.entries > this.#maxEntries) throw new ArchiveError(`there are more than ${this.#maxEntries} files`);
  }

  content(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.#maxBytes) {
      throw new ArchiveError(`the files have more than ${Math.floor(this.#maxBytes / 1024 / 1024)} MiB`);
    }
  }
}
