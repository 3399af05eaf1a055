// Small questions to the file system whose answer may be "there is none".
import { access, readdir, readFile } from "node:fs/promises";

/** @param {string} path */
export async function isThere(path) {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * The names in a directory, sorted; none where there is no such directory.
 * @param {string} directory
 * @returns {Promise<string[]>}
 */
export async function namesIn(directory) {
  try {
    return (await readdir(directory)).sort();
  } catch {
    return [];
  }
}

/**
 * A file's text, or undefined where it cannot be read.
 * @param {string} path
 * @returns {Promise<string | undefined>}
 */
export async function textOf(path) {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}
