// Things that are there wholly or not at all: a directory renamed into place, a link switched, a file replaced.
import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isNoSuchFile } from "./errors.ts";

/** Renames a finished directory to its name. If one of that name is there already, that one stays, and the new one goes. */
export async function putInPlace(finished: string, destination: string): Promise<void> {
  if (await isThere(destination)) {
    await rm(finished, { recursive: true, force: true });
    return;
  }
  await rename(finished, destination);
}

/** Makes a symbolic link point elsewhere in one step: readers see the old or the new target, never none. */
export async function switchLink(link: string, target: string): Promise<void> {
  if ((await linkTarget(link)) === target) return;
  await mkdir(dirname(link), { recursive: true, mode: 0o755 });
  const fresh = join(dirname(link), `.${basename(link)}-${randomBytes(6).toString("hex")}`);
  await symlink(target, fresh);
  await rename(fresh, link);
}

/** Replaces a file's content in one step. */
export async function replaceFile(path: string, content: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const fresh = join(dirname(path), `.${basename(path)}-${randomBytes(6).toString("hex")}`);
  await writeFile(fresh, content, { mode });
  await rename(fresh, path);
}

/** Where a symbolic link points, or undefined where there is no link. */
export async function linkTarget(link: string): Promise<string | undefined> {
  try {
    return await readlink(link);
  } catch (error) {
    if (isNoSuchFile(error)) return undefined;
    throw error;
  }
}

/** Whether anything has this name. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isNoSuchFile(error)) return false;
    throw error;
  }
}

/** Removes what a killed set-up left half-made (`.new-…` below `directory`). Only under the set-up's lock. */
export async function sweepUnfinished(directory: string): Promise<void> {
  if (!(await isThere(directory))) return;
  for (const name of await readdir(directory)) {
    if (name.startsWith(".new-")) await rm(join(directory, name), { recursive: true, force: true });
  }
}
