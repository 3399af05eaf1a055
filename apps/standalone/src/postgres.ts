// The embedded PostgreSQL: a real server as its own user, on a Unix socket only, peer authentication, no password.
// A server that a killed supervisor left behind is adopted.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { access, readFile, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import { unprivileged } from "./unprivileged.ts";

export interface PostgresOptions {
  /** Directory with bin/, lib/ and share/ of the server, readable by its user. */
  readonly programs: string;
  /** PGDATA; its parent belongs to the server's user. */
  readonly dataDir: string;
  readonly socketDir: string;
  readonly logFile: string;
  /** System user of the server. */
  readonly user: string;
  /** System user whose processes may connect, as the database role of `role`. */
  readonly clientUser: string;
  readonly role: string;
  readonly database: string;
  readonly logger: Logger;
}

/** A supervised server. Disposal is a fast shutdown. */
export interface Postgres extends AsyncDisposable {
  readonly pid: number | undefined;
  readonly restarts: number;
}

const START_DEADLINE_MS = 60_000;
/** Its presence says that the cluster was made to the end. */
const MARKER = "sallyport-initialized";

/** Makes the database cluster if there is none, starts or adopts the server, and keeps it up. Resolves when it takes connections. */
export async function startPostgres(options: PostgresOptions, signal: AbortSignal): Promise<Postgres> {
  await ensureCluster(options);
  const stop = new AbortController();
  let current = await ensureServer(options, signal);
  let restarts = 0;
  const watch = async () => {
    const backoff = new Backoff({ firstMs: 50, maxMs: 3_000 });
    while (!stop.signal.aborted) {
      await current.ended(stop.signal);
      if (stop.signal.aborted) return;
      options.logger.warn({ pid: current.pid, logFile: options.logFile }, "postgres ended; starting it again");
      restarts += 1;
      try {
        await backoff.pause(stop.signal);
        current = await ensureServer(options, stop.signal);
        backoff.reset();
      } catch (error) {
        if (!stop.signal.aborted) options.logger.error({ err: error }, "postgres could not be started");
      }
    }
  };
  const watching = watch();
  return {
    get pid() {
      return current.pid;
    },
    get restarts() {
      return restarts;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
      await shutDown(current.pid);
    },
  };
}

async function ensureCluster(options: PostgresOptions): Promise<void> {
  if (await exists(join(options.dataDir, MARKER))) return;
  // An interrupted initdb is of no use. Removed as its owner, who could otherwise lead root elsewhere by a link.
  await runAs(options, ["rm", "-rf", "--", options.dataDir]);
  const initdb = ["--pgdata", options.dataDir, "--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=peer"];
  await runAs(options, [join(options.programs, "bin/initdb"), ...initdb, "--no-sync", "--no-instructions"]);
  const hba = "# TYPE DATABASE USER METHOD: who a client is comes from the kernel.\nlocal all all peer map=sallyport\n";
  const ident = `sallyport ${options.clientUser} ${options.role}\nsallyport ${options.user} postgres\n`;
  await writeAs(options, "pg_hba.conf", hba);
  await writeAs(options, "pg_ident.conf", ident);
  const settings = [
    "listen_addresses = ''",
    `unix_socket_directories = '${options.socketDir}'`,
    "unix_socket_permissions = 0770",
    "max_connections = 50",
    "shared_buffers = 64MB",
    "log_min_messages = warning",
  ];
  await writeAs(options, "postgresql.auto.conf", `${settings.join("\n")}\n`);
  const statements = `CREATE ROLE ${options.role} LOGIN;\nCREATE DATABASE ${options.database} OWNER ${options.role};\n`;
  await runAs(
    options,
    [join(options.programs, "bin/postgres"), "--single", "-D", options.dataDir, "postgres"],
    statements,
  );
  await runAs(options, ["sync", "--file-system", options.dataDir]); // once, instead of initdb's fsync of every file
  await writeAs(options, MARKER, "");
}

/** Writes a file of the cluster as its owner: root writes nothing where another user could have put a link. */
async function writeAs(options: PostgresOptions, name: string, content: string): Promise<void> {
  await runAs(options, ["tee", join(options.dataDir, name)], content);
}

/** Stops the server on this data directory, if one runs. `programs` is where servers of ours lie. */
export async function stopPostgres(programs: string, dataDir: string): Promise<void> {
  const pid = await livePostmaster({ programs, dataDir });
  if (pid !== undefined) await shutDown(pid);
}

interface Server {
  readonly pid: number;
  ended(signal: AbortSignal): Promise<void>;
}

async function ensureServer(options: PostgresOptions, signal: AbortSignal): Promise<Server> {
  const pidFile = join(options.dataDir, "postmaster.pid");
  const running = await livePostmaster(options);
  if (running === undefined) {
    const log = openSync(options.logFile, "a", 0o640);
    const [program, ...args] = unprivileged(options.user, [
      join(options.programs, "bin/postgres"),
      "-D",
      options.dataDir,
    ]);
    const child = spawn(program, args, { env: PROGRAM_ENV, stdio: ["ignore", log, log], detached: true });
    closeSync(log);
    child.on("error", (error) => options.logger.error({ err: error }, "postgres could not be started"));
    child.unref();
  } else {
    options.logger.info({ pid: running }, "adopted a running postgres");
  }
  const deadline = systemClock.monotonicMs() + START_DEADLINE_MS;
  for (;;) {
    const pid = await livePostmaster(options);
    if (pid !== undefined && (await readLines(pidFile))[7]?.trim() === "ready") {
      return { pid, ended: (until) => untilGone(pid, until) };
    }
    if (systemClock.monotonicMs() > deadline) throw new Error(`postgres did not start; see ${options.logFile}`);
    await systemClock.sleep(20, signal);
  }
}

/**
 * The pid of a live server on our data directory. The file is the server's user's: what it names is believed only of a
 * program of ours, of whatever version, that works in this very directory.
 */
async function livePostmaster(where: { programs: string; dataDir: string }): Promise<number | undefined> {
  const [first] = await readLines(join(where.dataDir, "postmaster.pid"));
  const pid = Number(first);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  try {
    const program = await readlink(`/proc/${pid}/exe`);
    const ours = program.startsWith(`${dirname(where.programs)}/`) && program.endsWith("/bin/postgres");
    return ours && (await readlink(`/proc/${pid}/cwd`)) === where.dataDir ? pid : undefined;
  } catch {
    return undefined; // no such process
  }
}

async function untilGone(pid: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && isAlive(pid)) {
    try {
      await systemClock.sleep(250, signal);
    } catch {
      return; // told to stop watching
    }
  }
}

async function shutDown(pid: number): Promise<void> {
  if (!isAlive(pid)) return;
  process.kill(pid, "SIGINT"); // fast shutdown: clients are cut, a checkpoint is written
  const deadline = systemClock.monotonicMs() + 5_000;
  while (isAlive(pid)) {
    if (systemClock.monotonicMs() > deadline) process.kill(pid, "SIGQUIT"); // immediate; the next start recovers
    await systemClock.sleep(20);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: we are root, so it is never EPERM
  }
}

const PROGRAM_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

async function runAs(options: PostgresOptions, argv: readonly string[], input = ""): Promise<void> {
  const [program, ...args] = unprivileged(options.user, argv);
  const child = spawn(program, args, { env: PROGRAM_ENV, cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  // One that ends before it has read says why by its status and its output.
  child.stdin.on("error", (error) => (output += `\n${error.message}`));
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${argv[0]} failed (${code}): ${output.trim().slice(-500)}`);
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, "utf8")).split("\n");
  } catch {
    return []; // not there
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // not there
  }
}
