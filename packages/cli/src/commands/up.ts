// `sallyport up`: starts the platform of this machine and waits until all of it is ready.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT, interruptedCode } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { homePaths, withHome } from "../home.ts";
import { escapeLines, toJson, write } from "../output.ts";
import { exitCodeOf, findLaunch } from "../standalone.ts";
import type { SupervisorStatus } from "../supervisor.ts";
import { supervisorStatus } from "../supervisor.ts";

interface UpOptions extends HomeOptions {
  readonly foreground?: boolean;
  readonly json?: boolean;
  readonly timeout: string;
}

const POLL_MS = 100;
const QUIET_MS = 2_000;
const SHOWN_LOG_LINES = 20;

export function upCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  withHome(program.command("up"))
    .description("start the platform of this machine, and wait until it is ready")
    .option("--foreground", "stay attached, and stop with it")
    .option("--timeout <seconds>", "how long to wait until it is ready", "120")
    .option("--json", "print JSON")
    .action(async (options: UpOptions) => done(await up(context, options)));
}

async function up(context: CliContext, options: UpOptions): Promise<number> {
  const { supervisorSocket } = homePaths(context, options);
  const running = await supervisorStatus(supervisorSocket, context.signal);
  if (running?.state === "ready") {
    await tell(context, options, running, "is already up");
    return EXIT.ok;
  }
  const timeoutMs = Number(options.timeout) * 1_000;
  if (!(timeoutMs > 0)) throw new CliError("Usage", "--timeout takes a number of seconds");
  const started = running === undefined ? await start(context, options) : undefined;
  const stop = () => started?.child.kill("SIGTERM");
  if (options.foreground === true) context.signal.addEventListener("abort", stop, { once: true });
  await tell(context, options, await untilReady(context, supervisorSocket, timeoutMs, started), "is up");
  if (options.foreground !== true || started === undefined) {
    started?.child.unref();
    return EXIT.ok;
  }
  const code = await exitCodeOf(started.child);
  return context.signal.aborted && code !== 0 ? interruptedCode(context.signal) : code;
}

interface Started {
  readonly child: ChildProcess;
  /** Where its log goes; undefined at this terminal. */
  readonly logFile: string | undefined;
}

async function start(context: CliContext, options: UpOptions): Promise<Started> {
  const launch = await findLaunch(context, options);
  const env = { ...launch.env };
  if (options.foreground === true) {
    const child = spawn(launch.file, [...launch.args], { env, stdio: ["ignore", "inherit", "inherit"] });
    return { child, logFile: undefined };
  }
  const { log } = homePaths(context, options);
  await mkdir(log, { recursive: true, mode: 0o755 });
  const logFile = join(log, "standalone.log");
  await using file = await open(logFile, "a", 0o640);
  const child = spawn(launch.file, [...launch.args], {
    env,
    stdio: ["ignore", file.fd, file.fd],
    detached: true,
    cwd: "/",
  });
  return { child, logFile };
}

async function untilReady(
  context: CliContext,
  socketPath: string,
  timeoutMs: number,
  started: Started | undefined,
): Promise<SupervisorStatus> {
  const startedAt = performance.now();
  let shownAt = startedAt;
  let failure: unknown;
  started?.child.once("error", (error) => {
    failure = error;
  });
  for (;;) {
    const status = await supervisorStatus(socketPath, context.signal);
    if (status?.state === "ready") return status;
    const now = performance.now();
    const { child, logFile } = started ?? {};
    if (failure !== undefined) throw new CliError("Failed", "the supervisor could not be started", { cause: failure });
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) {
      throw new CliError("Failed", `the platform did not start${await endOf(logFile)}`, {
        hint: "`sallyport doctor` tells what the machine lacks",
      });
    }
    if (now - startedAt > timeoutMs) {
      throw new CliError("Failed", `the platform is not ready after ${timeoutMs / 1_000} s${await endOf(logFile)}`, {
        hint: "it goes on starting; `sallyport down` ends it",
      });
    }
    if (now - shownAt > QUIET_MS) {
      shownAt = now;
      const children = status?.children.map((one) => `${one.name} ${one.state}`).join(", ") ?? "the supervisor";
      await write(context.stderr, `starting, ${Math.round((now - startedAt) / 1_000)} s: ${escapeLines(children)}\n`);
    }
    await delay(POLL_MS, undefined, { signal: context.signal });
  }
}

async function endOf(logFile: string | undefined): Promise<string> {
  if (logFile === undefined) return "";
  const text = await readFile(logFile, "utf8").then(undefined, () => "");
  const tail = text.trimEnd().split("\n").slice(-SHOWN_LOG_LINES).join("\n");
  return `; the end of ${logFile}:\n${tail}`;
}

async function tell(context: CliContext, options: UpOptions, status: SupervisorStatus, how: string): Promise<void> {
  if (options.json === true) {
    await write(context.stdout, `${toJson(status)}\n`);
    return;
  }
  const { root } = homePaths(context, options);
  const home = options.home === undefined ? "" : ` --home ${root}`;
  const rows = [
    `Sallyport ${how}${status.apiUrl === undefined ? "" : ` at ${status.apiUrl}`} (state in ${root}).`,
    ...(status.restUrl === undefined
      ? []
      : [`REST at ${status.restUrl}/v1, described at ${status.restUrl}/v1/openapi.json.`]),
    "",
    `  sallyport api-token create --name me --save${home}   make an API token and keep it for this user`,
    "  sallyport run -- python3 -c 'print(\"hello\")'   run something in a new sandbox",
    `  sallyport down${home}   end every sandbox and the platform`,
  ];
  await write(context.stdout, `${rows.join("\n")}\n`);
}
