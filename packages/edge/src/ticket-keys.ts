// Keys of TLS session tickets: one secret for each hour, shared by the processes of an edge by a folder, so that a client
// resumes its session with whichever of them it meets. It is gone when its hour is: whoever finds a key later can read
// nothing with it. Each host has a key of its own, so that no session of one host is ever resumed at another.
import { createHash, hkdfSync, randomBytes } from "node:crypto";
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";
import type { Logger } from "@sallyport/appkit/logger";
import { LOOK_AT_TICKETS_MS, TICKET_PERIOD_MS } from "./edge-limits.ts";

export interface TicketKeysOptions {
  /** For this user alone; made if it is not there. */
  readonly directory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

const SECRET_BYTES = 32;
/** Name, HMAC key and AES key, as Node takes them. */
const TICKET_KEY_BYTES = 48;
const SUFFIX = ".key";

/** Disposal leaves the folder as it is, for the others. */
export class TicketKeys implements Disposable {
  readonly #options: TicketKeysOptions;
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #period = -1;
  #secret: Buffer = Buffer.alloc(0);

  /** Throws when the folder is not this user's alone. */
  constructor(options: TicketKeysOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    checkPrivate(options.directory);
    this.turn();
    this.#timer = setInterval(() => this.turn(), LOOK_AT_TICKETS_MS);
    this.#timer.unref();
  }

  /** What a host's context has of them, until the next turn. */
  settingsFor(host: string): Pick<SecureContextOptions, "ticketKeys" | "sessionIdContext" | "sessionTimeout"> {
    return {
      ticketKeys: Buffer.from(hkdfSync("sha256", this.#secret, "", `sallyport ticket ${host}`, TICKET_KEY_BYTES)),
      sessionIdContext: createHash("sha256").update(host).digest("hex").slice(0, 32),
      sessionTimeout: TICKET_PERIOD_MS / 1_000,
    };
  }

  /** Called when another hour has begun: contexts made before are of no more use. The listener must not throw. */
  onTurn(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Takes up the hour's secret, if another hour has begun. */
  turn(): void {
    const period = Math.floor(this.#options.now() / TICKET_PERIOD_MS);
    if (period === this.#period) return;
    this.#period = period;
    this.#secret.fill(0);
    this.#secret = this.#read(`${period}${SUFFIX}`);
    for (const listener of this.#listeners) listener();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  /** Where the folder cannot be used, a secret of this process alone: sessions are then resumed here, and not elsewhere. */
  #read(name: string): Buffer {
    const { directory, logger } = this.#options;
    try {
      checkPrivate(directory);
      const secret = shared(directory, name);
      removeOthers(directory, name);
      return secret;
    } catch (error) {
      logger.warn({ err: error, directory }, "keys of TLS sessions are not shared with other processes");
      return randomBytes(SECRET_BYTES);
    }
  }
}

/** The secret of this name: the first process that comes makes it, all others read it. */
function shared(directory: string, name: string): Buffer {
  const path = join(directory, name);
  for (let tries = 0; tries < 3; tries += 1) {
    const found = read(path);
    if (found !== undefined) return found;
    const fresh = join(directory, `${randomBytes(8).toString("hex")}.new`);
    writeFileSync(fresh, randomBytes(SECRET_BYTES), { mode: 0o600, flag: "wx" });
    try {
      linkSync(fresh, path); // whole, and not over another process's
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
  }
  throw new Error(`${path} does not stay`);
}

/** Undefined: it is not there, or was of no use and is not there now. */
function read(path: string): Buffer | undefined {
  try {
    const secret = readFileSync(path);
    const { mode } = lstatSync(path);
    if (secret.length === SECRET_BYTES && (mode & 0o170077) === 0o100000) return secret;
    rmSync(path, { force: true });
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return undefined;
}

/** Past ones, and whatever a process has left that was killed. */
function removeOthers(directory: string, name: string): void {
  const period = Number.parseInt(name, 10);
  for (const one of readdirSync(directory)) {
    const isStray = one.endsWith(".new") && isOld(join(directory, one));
    if (isStray || (one.endsWith(SUFFIX) && Number.parseInt(one, 10) !== period)) {
      rmSync(join(directory, one), { force: true });
    }
  }
}

/** Nobody is about to link it any more. */
function isOld(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && Date.now() - found.mtimeMs > LOOK_AT_TICKETS_MS;
}

function checkPrivate(directory: string): void {
  const found = lstatSync(directory);
  if (!found.isDirectory() || (found.mode & 0o077) !== 0 || found.uid !== process.geteuid?.()) {
    throw new Error(`${directory} must be a folder of this user's alone (0700)`);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
