// The root file systems that were made here, each in a directory named by its content and shared by all that start from it.

import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UNUSED_GRACE_MS } from "./limits.ts";

export interface ImageStore {
  /** One directory per root file system: `<hex digest>/rootfs`, `<hex digest>/manifest.json`. */
  readonly directory: string;
  has(digest: string): boolean;
  /** An empty directory to unpack into; disposal takes away what was not kept. */
  begin(): Promise<{ readonly rootfs: string } & AsyncDisposable>;
  /** Gives what was unpacked its name. What is there under that name already stays. */
  keep(rootfs: string, digest: string): Promise<void>;
  /** Removes what has been out of use for the grace time; answers with their digests. */
  collect(inUse: ReadonlySet<string>, now: number): Promise<string[]>;
}

const HALF_MADE = ".making-";

/** Takes away what a killed worker left half made. */
export async function openImageStore(directory: string): Promise<ImageStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    if (name.startsWith(HALF_MADE)) await rm(join(directory, name), { recursive: true, force: true });
  }
  const unusedSince = new Map<string, number>();
  let serial = 0;
  const placeOf = (digest: string) => join(directory, digest.slice("sha256:".length));
  return {
    directory,
    has: (digest) => existsSync(join(placeOf(digest), "manifest.json")),
    async begin() {
      serial += 1;
      const place = join(directory, `${HALF_MADE}${serial}`);
      const rootfs = join(place, "rootfs");
      await mkdir(rootfs, { recursive: true, mode: 0o755 });
      return { rootfs, [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) };
    },
    async keep(rootfs, digest) {
      const place = join(rootfs, "..");
      unusedSince.delete(digest);
      if (existsSync(placeOf(digest))) return;
      await writeFile(join(place, "manifest.json"), JSON.stringify({ name: digest, digest }), { mode: 0o600 });
      await rename(place, placeOf(digest));
    },
    async collect(inUse, now) {
      const removed: string[] = [];
      for (const name of await readdir(directory)) {
        const digest = `sha256:${name}`;
        if (name.startsWith(".")) continue;
        if (inUse.has(digest)) {
          unusedSince.delete(digest);
          continue;
        }
        const since = unusedSince.get(digest) ?? now;
        unusedSince.set(digest, since);
        if (now - since < UNUSED_GRACE_MS) continue;
        // Out of the way first: nobody finds half of it under its name.
        const dying = join(directory, `${HALF_MADE}${name}`);
        await rename(placeOf(digest), dying);
        unusedSince.delete(digest);
        removed.push(digest);
        await rm(dying, { recursive: true, force: true });
      }
      return removed;
    },
  };
}
