// The master key: 32 bytes in a file of ours that nobody else can read, made at the first start. Everything else that is
// secret is derived from it or sealed with it.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FILE_NAME = "master.key";

export interface MasterKey {
  /** Names the key without telling it. */
  readonly id: string;
  /** A key of its own for each purpose. */
  derive(purpose: string): Buffer;
  /** AES-256-GCM; `context` must be the same when it is opened. */
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws when the bytes were not sealed with this key in this context. */
  open(sealed: Uint8Array, context: string): Buffer;
}

/** Reads the key of a state directory, makes it if there is none. Rejects when others can read it. */
export async function loadMasterKey(stateDir: string): Promise<MasterKey> {
  const path = join(stateDir, FILE_NAME);
  await makeOnce(path);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) throw new Error(`${path} is open to others: its mode must be 0600`);
  const bytes = await readFile(path);
  if (bytes.length !== KEY_BYTES) throw new Error(`${path} must have ${KEY_BYTES} bytes`);
  return fromBytes(bytes);
}

/** Written whole and on disk before it has its name: a crash leaves either no key or all of it. */
async function makeOnce(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await stat(path);
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  try {
    const file = await open(draft, "wx", 0o600);
    await file.writeFile(randomBytes(KEY_BYTES));
    await file.sync();
    await file.close();
    await link(draft, path);
    const directory = await open(dirname(path), "r");
    await directory.sync();
    await directory.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // another process was first: its key holds
  } finally {
    await rm(draft, { force: true });
  }
}

function fromBytes(master: Buffer): MasterKey {
  const derive = (purpose: string) => Buffer.from(hkdfSync("sha256", master, "", `sallyport ${purpose}`, KEY_BYTES));
  const sealing = derive("sealing");
  return {
    id: createHash("sha256").update(derive("id")).digest("hex").slice(0, 16),
    derive,
    seal(plain, context) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealing, iv).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]);
    },
    open(sealed, context) {
      const iv = sealed.subarray(0, IV_BYTES);
      const tag = sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", sealing, iv).setAAD(Buffer.from(context)).setAuthTag(tag);
      return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
    },
  };
}
