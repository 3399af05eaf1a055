// The folder of one process of an edge, over its generations. While a process is replaced two of them live at once: each
// has a folder, an id and a journal of its own, since each acknowledges for itself. `current` names the folder that a
// start takes: it moves to a successor's only when that one knows all that was acknowledged.
import type { Dirent } from "node:fs";
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import type { Server } from "node:net";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { EDGE_ID_FILE } from "./edge-id.ts";
import { isAnswered, listenAtOwnSocket } from "./own-socket.ts";

const CURRENT = "current";
const GENERATION = "gen-";
/** Being made; nobody's if its maker is gone. */
const UNFINISHED = "new-";
/** Somebody listens at it as long as the folder is in use. */
const LIFE_SOCKET = "alive.sock";
const METRICS_SOCKET = "metrics.sock";
const OWNER_ONLY = 0o600;

export class StateFolder implements AsyncDisposable {
  /** Where this process keeps what is its own. */
  readonly path: string;
  /** Whether another process works in the folder before: it must be known to miss nothing before {@link commit}. */
  readonly isSuccessor: boolean;
  readonly #root: string;
  readonly #life: Server;

  private constructor(root: string, path: string, life: Server, isSuccessor: boolean) {
    this.path = path;
    this.isSuccessor = isSuccessor;
    this.#root = root;
    this.#life = life;
  }

  /**
   * Takes the current folder, as a crash or a stop has left it; or, where its process lives, a new one with a copy of what
   * is in it. Rejects where nothing can be kept at `root`.
   */
  static async open(root: string): Promise<StateFolder> {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const current = currentOf(root);
    if (current !== undefined && !(await isAnswered(join(current, LIFE_SOCKET)))) {
      const life = createServer((socket) => socket.destroy());
      await listenAtOwnSocket(life, join(current, LIFE_SOCKET), OWNER_ONLY);
      return new StateFolder(root, current, life, false);
    }
    const unfinished = mkdtempSync(join(root, UNFINISHED));
    const life = createServer((socket) => socket.destroy());
    await listenAtOwnSocket(life, join(unfinished, LIFE_SOCKET), OWNER_ONLY);
    if (current !== undefined) copyState(current, unfinished);
    const path = join(root, GENERATION + basename(unfinished).slice(UNFINISHED.length));
    renameSync(unfinished, path);
    const folder = new StateFolder(root, path, life, current !== undefined);
    if (current === undefined) folder.commit();
    return folder;
  }

  /** From now on a start takes this folder. Metrics are read at the root, whichever generation serves. */
  commit(): void {
    const pointTo = (target: string, name: string) => {
      const fresh = join(this.#root, `${name}.new`);
      rmSync(fresh, { force: true });
      symlinkSync(target, fresh);
      renameSync(fresh, join(this.#root, name));
    };
    pointTo(basename(this.path), CURRENT);
    pointTo(join(CURRENT, METRICS_SOCKET), METRICS_SOCKET);
  }

  /**
   * Removes the folders of processes that are over. What they had goes first: an edge that has left never comes back with
   * what it knew. Answers whether one is still in use, or was not taken leave of.
   */
  async sweep(leave: (edgeId: string) => Promise<void>): Promise<boolean> {
    let isSomeoneLeft = false;
    for (const entry of readdirSync(this.#root, { withFileTypes: true })) {
      const path = join(this.#root, entry.name);
      if (!isGeneration(entry) || path === this.path) continue;
      if (await isAnswered(join(path, LIFE_SOCKET))) {
        isSomeoneLeft = true;
        continue;
      }
      for (const name of readdirSync(path)) {
        if (name !== EDGE_ID_FILE) rmSync(join(path, name), { recursive: true, force: true });
      }
      const id = readId(path);
      try {
        if (id !== undefined) await leave(id);
        rmSync(path, { recursive: true, force: true });
      } catch {
        isSomeoneLeft = true; // the api is away: another time
      }
    }
    return isSomeoneLeft;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#life.close(resolve));
  }
}

function currentOf(root: string): string | undefined {
  try {
    const path = join(root, basename(readlinkSync(join(root, CURRENT))));
    return lstatSync(path).isDirectory() ? path : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isGeneration(entry: Dirent): boolean {
  return entry.isDirectory() && (entry.name.startsWith(GENERATION) || entry.name.startsWith(UNFINISHED));
}

function readId(path: string): string | undefined {
  try {
    return readFileSync(join(path, EDGE_ID_FILE), "utf8").trim();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** All files but the id. One that is replaced meanwhile is taken as it is then, or not at all. */
function copyState(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(target, { mode: 0o700 });
      copyState(source, target);
    } else if (entry.isFile() && entry.name !== EDGE_ID_FILE) {
      try {
        copyFileSync(source, target);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
