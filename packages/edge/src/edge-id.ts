// What this process calls itself at the api: made once per state folder, and kept.
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const EDGE_ID_FILE = "edge-id";
const EDGE_ID = /^edge-[0-9a-f]{24}$/;

/** Reads the edge's id, or makes one. */
export function edgeId(stateDirectory: string): string {
  const path = join(stateDirectory, EDGE_ID_FILE);
  const kept = read(path);
  if (kept !== undefined && EDGE_ID.test(kept)) return kept;
  const id = `edge-${randomBytes(12).toString("hex")}`;
  writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return id;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
