// One at a time: set-ups of a machine, workers and supervisors of a home. The kernel holds the lock (flock) for a helper whose stdin is ours: however we end, it is let go.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { startHolder } from "./command.ts";

/** Takes the lock, waiting for whoever has it; `onWait` is called once where it is taken. Disposal lets it go. */
export async function lockFile(
  path: string,
  options: { readonly signal?: AbortSignal | undefined; readonly onWait?: () => void } = {},
): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  return startHolder("flock", ["--exclusive", path, "sh", "-c", "echo held; exec cat >&2"], options);
}
