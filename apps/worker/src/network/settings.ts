// Kernel network settings of the namespace this process is in, by their path below /proc/sys/net.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { isMissing } from "./journal.ts";

const ROOT = "/proc/sys/net";

/** `undefined` where the setting, or its interface, does not exist. */
export async function readSetting(path: string): Promise<string | undefined> {
  try {
    return (await readFile(`${ROOT}/${path}`, "utf8")).trim();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function writeSetting(path: string, value: string): Promise<void> {
  await writeFile(`${ROOT}/${path}`, value, { flag: "r+" });
}

/** Names in a directory of settings: under `ipv4/conf`, the interfaces with `all` and `default`. */
export async function settingNames(path: string): Promise<string[]> {
  return readdir(`${ROOT}/${path}`);
}

/** Whether a write was refused: not every namespace, and no read-only /proc/sys, lets itself be set. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Error && "code" in error && ["EACCES", "EPERM", "EROFS"].includes(String(error.code));
}
