// SHA-256 over files, or over a whole tree: the same content gives the same hash, wherever it lies.
import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { isNoSuchFile } from "./errors.ts";

const AT_ONCE = 64;

/** Hash over named files relative to a root, and extra words. A file that is missing counts as missing. */
export async function hashFiles(
  root: string,
  files: readonly string[],
  words: readonly string[] = [],
): Promise<string> {
  const hash = createHash("sha256");
  for (const word of words) hash.update(`word ${Buffer.byteLength(word)}\n${word}\n`);
  const sorted = [...new Set(files)].sort();
  for (let start = 0; start < sorted.length; start += AT_ONCE) {
    const some = sorted.slice(start, start + AT_ONCE);
    const contents = await Promise.all(some.map((file) => contentOf(join(root, file))));
    some.forEach((file, index) => {
      const content = contents[index];
      if (content === undefined) hash.update(`missing ${file}\n`);
      else hash.update(`file ${content.length} ${file}\n`).update(content);
    });
  }
  return hash.digest("hex");
}

/** Hash over a tree: names, kinds, modes, owners, content, link targets; not times. */
export async function hashTree(root: string): Promise<string> {
  const hash = createHash("sha256");
  for (const path of await pathsBelow(root)) {
    const full = join(root, path);
    const entry = await lstat(full);
    const head = `${path}\n${entry.mode.toString(8)} ${entry.uid} ${entry.gid}\n`;
    if (entry.isSymbolicLink()) hash.update(`link ${head}${await readlink(full)}\n`);
    else if (entry.isFile()) hash.update(`file ${entry.size} ${head}`).update(await readFile(full));
    else hash.update(`other ${head}`);
  }
  return hash.digest("hex");
}

/** Regular files below `directory` (relative, with "/"), for which `keep` says yes; a directory that it refuses is not entered. */
export async function filesBelow(
  directory: string,
  keep: (path: string, isDirectory: boolean) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await entries(join(directory, relative))) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (!keep(path, entry.isDirectory())) continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile()) found.push(path);
    }
  };
  await visit("");
  return found.sort();
}

/** Every path below `root`, sorted; links are listed, never followed (Node's recursive readdir would walk out of the tree). */
async function pathsBelow(root: string, relative = ""): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await entries(join(root, relative))) {
    const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
    found.push(path);
    if (entry.isDirectory()) found.push(...(await pathsBelow(root, path)));
  }
  return relative === "" ? found.sort() : found;
}

async function entries(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isNoSuchFile(error)) return [];
    throw error;
  }
}

async function contentOf(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isNoSuchFile(error)) return undefined;
    throw error;
  }
}
