// Programs that every user of the platform runs: owned by root, readable by all, writable by nobody else.
import { chmod, lchown, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Gives a tree to root, and sets modes: 0755 for directories and programs, 0644 for the rest. */
export async function makeWorldReadable(root: string): Promise<void> {
  const entry = await lstat(root);
  if (process.getuid?.() === 0 && (entry.uid !== 0 || entry.gid !== 0)) await lchown(root, 0, 0);
  if (entry.isSymbolicLink()) return;
  const wanted = entry.isDirectory() || (entry.mode & 0o100) !== 0 ? 0o755 : 0o644;
  if ((entry.mode & 0o7777) !== wanted) await chmod(root, wanted);
  if (!entry.isDirectory()) return;
  for (const name of await readdir(root)) await makeWorldReadable(join(root, name));
}
