// The profile file that the SDK reads: {"url": …, "token": …}, for this user's eyes alone.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { profilePath } from "@sallyport/sdk";
import type { CliContext } from "./context.ts";

/** Writes it in one step. Returns its path. */
export async function saveProfile({ env }: CliContext, profile: { url: string; token: string }): Promise<string> {
  const path = profilePath(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, `${JSON.stringify(profile, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
  await rename(unfinished, path);
  return path;
}
