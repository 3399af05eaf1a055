// The platform's identity: made once per home, pinned by workers and checked by the api against its database.
import { open, readFile } from "node:fs/promises";
import { ulid } from "ulid";
import { z } from "zod";

const File = z.object({ platformId: z.string().regex(/^[0-9a-z]{26}$/) });

/** Reads the platform's id, or makes and keeps a new one. */
export async function platformId(path: string): Promise<string> {
  try {
    return File.parse(JSON.parse(await readFile(path, "utf8"))).platformId;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) {
      throw new Error(`${path} is damaged: it holds the identity of this platform's data`, { cause: error });
    }
  }
  const id = ulid().toLowerCase();
  await using file = await open(path, "wx", 0o644);
  await file.writeFile(`${JSON.stringify({ platformId: id })}\n`);
  await file.sync();
  return id;
}
