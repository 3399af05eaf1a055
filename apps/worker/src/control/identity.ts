// Who this worker is: an id that it chose once, and the platform that it belongs to for good.
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "@sallyport/contracts";
import { z } from "zod";

export interface WorkerIdentity {
  readonly workerId: string;
  readonly platformId: string;
}

const identityShape = z.object({ workerId: z.string().refine((id) => isId("worker", id)), platformId: z.string() });

/** Reads or makes the identity. Throws when the directory belongs to another platform's worker. */
export async function openIdentity(stateDirectory: string, platformId: string, now: number): Promise<WorkerIdentity> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const path = join(stateDirectory, "worker.json");
  const kept = await readKept(path);
  if (kept !== undefined) {
    const identity = identityShape.parse(JSON.parse(kept));
    if (identity.platformId !== platformId) {
      throw new Error(`${stateDirectory} belongs to the platform ${identity.platformId}, not to ${platformId}`);
    }
    return identity;
  }
  const identity = { workerId: `wk-${makeUlid(now)}`, platformId };
  await writeFile(`${path}.new`, JSON.stringify(identity), { mode: 0o600 });
  await rename(`${path}.new`, path);
  return identity;
}

/** Undefined at the first start. A file that is there and cannot be read is no first start: a new identity would unpin the platform. */
async function readKept(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

function makeUlid(now: number): string {
  let rest = (BigInt(now) << 80n) | BigInt(`0x${randomBytes(10).toString("hex")}`);
  let text = "";
  for (let index = 0; index < 26; index += 1) {
    text = ALPHABET.charAt(Number(rest & 31n)) + text;
    rest >>= 5n;
  }
  return text;
}
