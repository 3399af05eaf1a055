// A build's context on its way to the engine: read, checked and written anew, so that the engine never reads the tenant's
// own bytes of an archive, only ours. The Dockerfile comes from elsewhere and is the first entry.
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Header, Pack } from "tar-stream";
import { extract, pack } from "tar-stream";
import { ArchiveError, componentsOf, linkTextOf, shown, Tally } from "./paths.ts";

export interface ContextJob {
  readonly dockerfileName: string;
  readonly dockerfile: string;
  readonly hasContext: boolean;
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** Throws ArchiveError for a context that is refused. */
export async function checkContext(archive: Readable, output: Writable, job: ContextJob): Promise<void> {
  const checked = pack();
  const writing = pipeline(checked, output);
  const feeding = feed(archive, checked, job).then(
    () => checked.finalize(),
    (error: unknown) => {
      checked.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    },
  );
  const [fed, written] = await Promise.allSettled([feeding, writing]);
  if (fed.status === "rejected") throw fed.reason;
  if (written.status === "rejected") throw written.reason;
}

type NewHeader = Partial<Header> & Pick<Header, "name">;

async function feed(archive: Readable, checked: Pack, job: ContextJob): Promise<void> {
  const head = { name: job.dockerfileName, mode: 0o644, mtime: new Date(0) };
  await entryOf(checked, { ...head, size: Buffer.byteLength(job.dockerfile) }, [Buffer.from(job.dockerfile)]);
  if (!job.hasContext) {
    archive.resume();
    return;
  }
  const tally = new Tally(job);
  const seen = new Set<string>([job.dockerfileName]);
  const kinds = new Map<string, "directory" | "other">();
  const entries = extract();
  archive.on("error", (error) => entries.destroy(error));
  archive.pipe(entries);
  for await (const entry of entries) {
    tally.entry();
    const components = componentsOf(entry.header.name);
    const name = components.join("/");
    const header = name === "" ? undefined : headerOf(entry.header, name);
    if (header === undefined) {
      entry.resume();
      continue;
    }
    refuseWayThroughLink(components, kinds, entry.header.name);
    if (seen.has(name) && header.type !== "directory") throw new ArchiveError(`a name is there twice: ${shown(name)}`);
    seen.add(name);
    kinds.set(name, header.type === "directory" ? "directory" : "other");
    tally.content(header.size ?? 0);
    await entryOf(checked, header, entry as AsyncIterable<Uint8Array>);
  }
}

/** What is kept of a header. */
function headerOf(header: Header, name: string): NewHeader {
  const kept = { name, mode: (header.mode ?? 0o644) & 0o777, mtime: header.mtime ?? new Date(0), uid: 0, gid: 0 };
  switch (header.type) {
    case "file":
    case "contiguous-file":
      return { ...kept, type: "file", size: header.size ?? 0 };
    case "directory":
      return { ...kept, type: "directory", size: 0 };
    case "symlink":
      return { ...kept, type: "symlink", size: 0, linkname: linkTextOf(header.name, header.linkname) };
    case "link": {
      const target = componentsOf(linkTextOf(header.name, header.linkname)).join("/");
      return { ...kept, type: "link", size: 0, linkname: target };
    }
    default:
      throw new ArchiveError(`an entry is no file, directory or link: ${shown(header.name)}`);
  }
}

function refuseWayThroughLink(
  components: readonly string[],
  kinds: ReadonlyMap<string, "directory" | "other">,
  name: string,
): void {
  for (let depth = 1; depth < components.length; depth += 1) {
    if (kinds.get(components.slice(0, depth).join("/")) !== "other") continue;
    throw new ArchiveError(`a name leads through what is no directory: ${shown(name)}`);
  }
}

async function entryOf(
  checked: Pack,
  header: NewHeader,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const written = Promise.withResolvers<void>();
  const sink = checked.entry(header, (error) => {
    if (error === null || error === undefined) written.resolve();
    else written.reject(error);
  });
  for await (const chunk of content) {
    if (!sink.write(chunk)) await new Promise<void>((resolve) => sink.once("drain", () => resolve()));
  }
  sink.end(null);
  await written.promise;
}
