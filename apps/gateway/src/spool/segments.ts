// The files of one output: `<stream>.<first offset>`, each as long as the bytes it holds, so that after kill -9 sizes
// alone say what is there. Nothing is synced: the spool survives the death of processes, not of the machine, with which
// the sandboxes die too.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** The name of an output's files. */
export type StreamName = "stdout" | "stderr";

/** One file: bytes from `start` on. */
export interface Segment {
  readonly path: string;
  readonly start: number;
  length: number;
}

const OFFSET_DIGITS = 16;

/** The file of an output that begins at this offset. */
export function segmentPath(directory: string, stream: StreamName, start: number): string {
  return join(directory, `${stream}.${String(start).padStart(OFFSET_DIGITS, "0")}`);
}

/**
 * The files found, in order and without a hole: where one is missing, only what lies behind it is kept, since an offset
 * that a reader asks for must be the byte that the process wrote there.
 */
export function recoverSegments(directory: string, stream: StreamName): Segment[] {
  const pattern = new RegExp(`^${stream}\\.([0-9]{${OFFSET_DIGITS}})$`);
  const found: Segment[] = [];
  for (const name of readdirSync(directory).sort()) {
    const digits = pattern.exec(name)?.[1];
    if (digits === undefined) continue;
    const path = join(directory, name);
    const segment = { path, start: Number(digits), length: statSync(path).size };
    const last = found.at(-1);
    if (last !== undefined && last.start + last.length !== segment.start) {
      for (const stale of found.splice(0)) rmSync(stale.path, { force: true });
    }
    found.push(segment);
  }
  return found;
}
