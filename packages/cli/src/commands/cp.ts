// `sallyport cp`: a file, or a directory with `-r`, into a sandbox or out of one.
import { mkdir, readdir, stat } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { SallyportError, Sandbox } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { escapeText, toJson, write } from "../output.ts";
import { parsePlace } from "../place.ts";

interface CpOptions {
  readonly recursive?: boolean;
  readonly json?: boolean;
}

/** What was copied. */
interface Tally {
  files: number;
  bytes: number;
}

export function cpCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("cp")
    .description("copy a file into a sandbox, or out of it")
    .usage("[options] LOCAL SANDBOX:PATH | SANDBOX:PATH LOCAL")
    .argument("<from>", "a local path, or SANDBOX:PATH")
    .argument("<to>", "a local path, or SANDBOX:PATH; into a directory when it is one")
    .option("-r, --recursive", "a directory with all in it; symbolic links and what is no file are left out")
    .option("--json", "print JSON when it is done")
    .action(async (from: string, to: string, options: CpOptions) => done(await cp(context, from, to, options)));
}

async function cp(context: CliContext, from: string, to: string, options: CpOptions): Promise<number> {
  const [source, target] = [parsePlace(from), parsePlace(to)];
  if ((source === undefined) === (target === undefined)) {
    throw new CliError("Usage", "one of the two is SANDBOX:PATH, the other a local path");
  }
  await using client = context.createClient();
  const { signal } = context;
  const id = source?.id ?? target?.id ?? "";
  const sandbox = await Sandbox.fromId(id, { client, signal });
  const copy = new Copy(context, sandbox, options);
  if (target !== undefined) await copy.up(from, target.path);
  else if (source !== undefined) await copy.down(source.path, to);
  await copy.finish();
  return EXIT.ok;
}

class Copy {
  readonly #context: CliContext;
  readonly #sandbox: Sandbox;
  readonly #options: CpOptions;
  readonly #tally: Tally = { files: 0, bytes: 0 };
  readonly #leftOut: string[] = [];
  #lastShownMs = 0;

  constructor(context: CliContext, sandbox: Sandbox, options: CpOptions) {
    this.#context = context;
    this.#sandbox = sandbox;
    this.#options = options;
  }

  async up(local: string, remote: string): Promise<void> {
    const within = await this.#isRemoteDirectory(remote);
    const target = within ? posix.join(remote, basename(local)) : remote;
    if (!(await isLocalDirectory(local))) await this.#upload(local, target);
    else if (this.#options.recursive === true) await this.#upTree(local, target);
    else throw new CliError("Failed", `${local} is a directory`, { hint: "copy it with -r" });
  }

  async down(remote: string, local: string): Promise<void> {
    const { fs } = this.#sandbox;
    const { signal } = this.#context;
    const info = await fs.stat(remote, { signal });
    const target = (await isLocalDirectory(local)) ? join(local, safeName(posix.basename(remote))) : local;
    if (info.type !== "directory") await this.#download(remote, target);
    else if (this.#options.recursive === true) await this.#downTree(remote, target);
    else throw new CliError("Failed", `${remote} is a directory`, { hint: "copy it with -r" });
  }

  async finish(): Promise<void> {
    const { json } = this.#options;
    const { stderr, stdout } = this.#context;
    if (this.#lastShownMs > 0) await write(stderr, "\r\x1b[K");
    for (const path of this.#leftOut) await write(stderr, `sallyport: left out: ${escapeText(path)}\n`);
    if (json === true) await write(stdout, `${toJson({ ...this.#tally, leftOut: this.#leftOut })}\n`);
  }

  async #upTree(local: string, remote: string): Promise<void> {
    await this.#sandbox.fs.mkdir(remote, { recursive: true, signal: this.#context.signal });
    for (const entry of await readdir(local, { withFileTypes: true })) {
      const [from, to] = [join(local, entry.name), posix.join(remote, entry.name)];
      if (entry.isDirectory()) await this.#upTree(from, to);
      else if (entry.isFile()) await this.#upload(from, to);
      else this.#leftOut.push(from);
    }
  }

  async #downTree(remote: string, local: string): Promise<void> {
    await mkdir(local, { recursive: true });
    for (const file of await this.#sandbox.fs.list(remote, { signal: this.#context.signal })) {
      const target = join(local, safeName(posix.basename(file.path)));
      if (file.type === "directory") await this.#downTree(file.path, target);
      else if (file.type === "file") await this.#download(file.path, target);
      else this.#leftOut.push(file.path);
    }
  }

  async #upload(local: string, remote: string): Promise<void> {
    await this.#sandbox.fs.upload(local, remote, this.#transfer(local));
    this.#tally.files += 1;
  }

  async #download(remote: string, local: string): Promise<void> {
    await this.#sandbox.fs.download(remote, local, this.#transfer(remote));
    this.#tally.files += 1;
  }

  #transfer(name: string): { signal: AbortSignal; onProgress: (bytes: number) => void } {
    let before = 0;
    const onProgress = (bytes: number) => {
      this.#tally.bytes += bytes - before;
      before = bytes;
      this.#show(name, bytes);
    };
    return { signal: this.#context.signal, onProgress };
  }

  #show(name: string, bytes: number): void {
    const { stderr } = this.#context;
    const now = performance.now();
    if (stderr.isTTY !== true || this.#options.json === true || now - this.#lastShownMs < SHOW_EVERY_MS) return;
    this.#lastShownMs = now;
    stderr.write(`\r\x1b[K${(bytes / 1e6).toFixed(1)} MB  ${escapeText(name)}`);
  }

  async #isRemoteDirectory(path: string): Promise<boolean> {
    try {
      return (await this.#sandbox.fs.stat(path, { signal: this.#context.signal })).type === "directory";
    } catch (error) {
      if (SallyportError.is(error, "NotFound") && error.field === "path") return false;
      throw error;
    }
  }
}

const SHOW_EVERY_MS = 100;

async function isLocalDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return false;
    throw error;
  }
}

/** A name that a sandbox chose, below a local directory: one that is none of its own is refused. */
function safeName(name: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw new CliError("Failed", `${escapeText(name)} is no name for a local file`);
  }
  return name;
}
