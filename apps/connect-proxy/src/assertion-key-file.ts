// The edge's keys for assertions on disk, so that a proxy that is restarted while the api is down still asserts.

import { readFile, rename, stat, writeFile } from "node:fs/promises";
import type { PrivateJwk } from "@sallyport/connect-token/assertion";
import { z } from "zod";

/** A key, and whether the api has published it at least once. */
export interface KeptKey {
  readonly jwk: PrivateJwk;
  readonly published: boolean;
}

export interface KeptKeys {
  readonly current: KeptKey;
  /** Published a day before it signs: whoever has fetched the keys then needs no others for a day. */
  readonly next: KeptKey;
  /** When `current` became it: milliseconds since the epoch. */
  readonly sinceMs: number;
}

const FORMAT = "sallyport-assertion-keys-1";
/** They are secrets of this process. */
const MODE = 0o600;

const key = z.object({
  jwk: z.object({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string(),
    d: z.string(),
    kid: z.string(),
    alg: z.literal("EdDSA"),
    use: z.literal("sig"),
    "sallyport:purpose": z.literal("assertion"),
  }),
  published: z.boolean(),
});
const file = z.object({
  format: z.literal(FORMAT),
  current: key,
  next: key,
  sinceMs: z.number().int().nonnegative(),
});

/** What an earlier life has left; undefined if nothing. Throws for what is damaged, or was open to others. */
export async function readKeys(path: string): Promise<KeptKeys | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw new Error(`${path} can be read by others: its keys are given up`);
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON`); // the cause would quote the keys
  }
  const parsed = file.safeParse(value);
  if (!parsed.success) throw new Error(`${path} holds no keys for assertions`);
  const { current, next, sinceMs } = parsed.data;
  return { current, next, sinceMs };
}

/** Writes them in one step: at no moment is there half a file, or one that others can read. */
export async function writeKeys(path: string, keys: KeptKeys): Promise<void> {
  const fresh = `${path}.${process.pid}.new`;
  await writeFile(fresh, JSON.stringify({ format: FORMAT, ...keys }), { mode: MODE, flush: true });
  await rename(fresh, path);
}
