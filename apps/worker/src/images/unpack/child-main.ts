// A program of its own, with hardly any privilege: the only one that reads a stranger's archives. The job is a JSON text on
// descriptor 3, the archive comes on stdin; the answer, or the checked archive, goes to stdout. Status 3: refused, stderr says why.
import { readFileSync } from "node:fs";
import { type ContextJob, checkContext } from "./context.ts";
import { ArchiveError } from "./paths.ts";
import { type RootfsJob, unpackRootfs } from "./rootfs.ts";

export type ChildJob = ({ readonly kind: "context" } & ContextJob) | ({ readonly kind: "rootfs" } & RootfsJob);

/** The archive is refused; what is on stderr is for the tenant. */
const REFUSED_STATUS = 3;
const FAILED_STATUS = 4;

process.umask(0o077);
try {
  // Written by the worker that started this.
  const job = JSON.parse(readFileSync(3, "utf8")) as ChildJob;
  if (job.kind === "context") await checkContext(process.stdin, process.stdout, job);
  else process.stdout.write(JSON.stringify(await unpackRootfs(process.stdin, job)));
} catch (error) {
  process.stderr.write(messageOf(error).slice(0, 1_000));
  process.exitCode = error instanceof ArchiveError || isTarError(error) ? REFUSED_STATUS : FAILED_STATUS;
  process.stdin.destroy();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** tar-stream has no class of its own for archives that are none. */
function isTarError(error: unknown): boolean {
  return (
    error instanceof Error && /invalid tar|unexpected end of data|header checksum|size mismatch/i.test(error.message)
  );
}
