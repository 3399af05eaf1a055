// The one place where the bootstrap starts programs.
import { spawn } from "node:child_process";

/** Programs that are at work: they are told when this process is told to stop. @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  // From a terminal the child has the signal already; from elsewhere it has not. It decides, and we end with it.
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    if (running.size === 0) process.exit(128 + (signal === "SIGINT" ? 2 : 15));
  });
}

/**
 * Runs a program with our own stdin, stdout and stderr. Resolves to its exit code.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, stdoutTo?: "stdout" | "stderr" }} [options]
 * @returns {Promise<number>}
 */
export function show(file, args, options = {}) {
  const stdout = options.stdoutTo === "stderr" ? 2 : "inherit";
  const child = spawn(file, args, { cwd: options.cwd, env: options.env, stdio: ["inherit", stdout, "inherit"] });
  return ended(child);
}

/**
 * Runs a program silently. Its lines go to `onLine`; stdout is returned.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void }} [options]
 * @returns {Promise<{ exitCode: number, stdout: string }>}
 */
export async function quiet(file, args, options = {}) {
  const child = spawn(file, args, { cwd: options.cwd, env: options.env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    stdout += chunk;
  });
  for (const stream of [child.stdout, child.stderr]) eachLine(stream, options.onLine ?? (() => undefined));
  return { exitCode: await ended(child), stdout };
}

/**
 * Runs a Node program with an IPC channel, whose messages go to `onMessage`. stdout goes to our stderr.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onMessage: (message: unknown) => void }} options
 * @returns {Promise<number>}
 */
export function withMessages(file, args, options) {
  const child = spawn(file, args, { cwd: options.cwd, env: options.env, stdio: ["inherit", 2, "inherit", "ipc"] });
  child.on("message", options.onMessage);
  return ended(child);
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<number>}
 */
function ended(child) {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.once("error", (error) => {
      running.delete(child);
      reject(error);
    });
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve(code ?? (signal === "SIGINT" ? 130 : 143));
    });
  });
}

/**
 * @param {import("node:stream").Readable} stream
 * @param {(line: string) => void} onLine
 */
function eachLine(stream, onLine) {
  let rest = "";
  stream.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
    const lines = (rest + chunk).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onLine(line.trim());
  });
}
