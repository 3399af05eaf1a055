// An exported root file system, unpacked: checked entry by entry, made ready for the platform's mounts, named by its content.
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import type { Header } from "tar-stream";
import { extract } from "tar-stream";
import { ArchiveError, componentsOf, linkTextOf, shown, Tally } from "./paths.ts";
import type { Attributes } from "./tree.ts";
import { Tree } from "./tree.ts";
import { type ResolvedUser, resolveUser } from "./user.ts";

export interface RootfsJob {
  /** An empty directory. */
  readonly directory: string;
  /** The image's USER. */
  readonly user: string;
  readonly maxBytes: number;
  readonly maxEntries: number;
  readonly mountPoints: { readonly directories: readonly string[]; readonly files: readonly string[] };
}

export interface RootfsResult extends ResolvedUser {
  /** "sha256:" and 64 hexadecimal digits, over names, kinds, modes, owners and contents; not over times. */
  readonly digest: string;
  /** Bytes of all files. */
  readonly size: number;
  readonly entries: number;
}

/** What the platform mounts something over, or puts there itself. */
const LEFT_OUT = new Set(["dev", "proc", "sys", ".sallyport", ".dockerenv"]);
const MAX_ID = 2 ** 31 - 2;
const MAX_SECONDS = 2 ** 32 - 1;

/** Throws ArchiveError for an archive that is refused. */
export async function unpackRootfs(archive: Readable, job: RootfsJob): Promise<RootfsResult> {
  const tree = new Tree(job.directory);
  const tally = new Tally(job);
  const lines: { readonly path: string; readonly hash: string }[] = [];
  const note = (path: string, facts: readonly unknown[]) => {
    lines.push({
      path,
      hash: createHash("sha256")
        .update(JSON.stringify([path, ...facts]))
        .digest("base64"),
    });
  };
  const entries = extract();
  archive.on("error", (error) => entries.destroy(error));
  archive.pipe(entries);
  for await (const entry of entries) {
    const { header } = entry;
    tally.entry();
    const components = componentsOf(header.name);
    const [first] = components;
    const path = components.join("/");
    if (first === undefined || LEFT_OUT.has(first)) entry.resume();
    else if (header.type === "file" || header.type === "contiguous-file") {
      const attributes = attributesOf(header, 0o777);
      const hash = createHash("sha256");
      await tree.file(components, attributes, entry as AsyncIterable<Uint8Array>, (chunk) => {
        tally.content(chunk.length);
        hash.update(chunk);
      });
      note(path, ["file", attributes.mode, attributes.uid, attributes.gid, hash.digest("base64")]);
    } else {
      entry.resume();
      note(path, makeOther(tree, header, components));
    }
  }
  for (const name of job.mountPoints.directories) tree.mountPoint(componentsOf(name.slice(1)), "directory");
  for (const name of job.mountPoints.files) tree.mountPoint(componentsOf(name.slice(1)), "file");
  const user = resolveUser(tree, job.user);
  lines.sort((a, b) => (a.path < b.path ? -1 : 1));
  const digest = createHash("sha256").update(lines.map(({ hash }) => hash).join("\n"));
  return { ...user, digest: `sha256:${digest.digest("hex")}`, size: tally.bytes, entries: tally.entries };
}

/** Makes what is no file; answers with what counts of it. Devices, sockets and pipes are left out. */
function makeOther(tree: Tree, header: Header, components: readonly string[]): readonly unknown[] {
  switch (header.type) {
    case "directory": {
      const attributes = attributesOf(header, 0o1777);
      tree.directory(components, attributes);
      return ["directory", attributes.mode, attributes.uid, attributes.gid];
    }
    case "symlink": {
      const attributes = attributesOf(header, 0);
      const text = linkTextOf(header.name, header.linkname);
      tree.symlink(components, text, attributes);
      return ["symlink", attributes.uid, attributes.gid, text];
    }
    case "link": {
      const target = componentsOf(linkTextOf(header.name, header.linkname));
      tree.hardlink(components, target);
      return ["link", target.join("/")];
    }
    case "character-device":
    case "block-device":
    case "fifo":
      return ["left out"];
    default:
      throw new ArchiveError(`an entry is of a kind that is not known: ${shown(header.name)}`);
  }
}

function attributesOf(header: Header, mask: number): Attributes {
  const { uid, gid, mode, mtime } = header;
  for (const id of [uid, gid]) {
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID)
      throw new ArchiveError(`an owner is out of range: ${shown(header.name)}`);
  }
  const seconds = Math.floor(mtime.getTime() / 1_000);
  const modifiedAt = Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_SECONDS) : 0;
  return { uid, gid, mode: mode & mask, modifiedAt };
}
