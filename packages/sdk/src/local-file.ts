// Files of this machine at the other end of a transfer.
import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import type { SallyportError } from "./errors.ts";
import { sdkError } from "./errors.ts";
import type { UploadSource } from "./file-upload.ts";

const READ_BYTES = 256 * 1024;

/** A local file to upload, with its permission bits. */
export async function localSource(path: string): Promise<{ readonly mode: number; readonly source: UploadSource }> {
  const file = await opened(path, "r");
  let mode: number;
  try {
    const status = await file.stat();
    if (!status.isFile()) {
      throw sdkError("InvalidArgument", `local: ${path} is not a regular file`, { field: "local" });
    }
    ({ mode } = status);
  } finally {
    await file.close();
  }
  return { mode, source: { repeatable: true, read: () => readLocal(path) } };
}

async function* readLocal(path: string): AsyncGenerator<Uint8Array, void> {
  const file = await opened(path, "r");
  try {
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** A local file that appears whole: written under a name beside its own. Disposal removes what was not finished. */
export class LocalTarget implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #finished = false;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  static async open(path: string): Promise<LocalTarget> {
    const temporary = `${path}.${randomBytes(6).toString("hex")}.part`;
    return new LocalTarget(path, temporary, await opened(temporary, "wx"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(bytes);
    } catch (error) {
      throw localError(this.#path, error);
    }
  }

  /** Puts it in its place. */
  async finish(): Promise<void> {
    try {
      await this.#file.close();
      await rename(this.#temporary, this.#path);
    } catch (error) {
      throw localError(this.#path, error);
    }
    this.#finished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#finished) return;
    await this.#file.close();
    await rm(this.#temporary, { force: true });
  }
}

async function opened(path: string, flags: string): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    throw localError(path, error);
  }
}

/** The caller named the path: what is wrong with it is an argument's fault, whatever the system calls it. */
function localError(path: string, cause: unknown): SallyportError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return sdkError("InvalidArgument", `local: ${path}: ${reason}`, { field: "local", cause });
}
