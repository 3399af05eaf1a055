// The app behind every proxy of the benchmark "connect": a program of the benchmark's own, compiled for the run, that
// costs as little as can be.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "@sallyport/testkit/platform";
import { run } from "./command.ts";

const SOURCE = fileURLToPath(new URL("../native/connect-app.c", import.meta.url));
const FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"];

export interface ConnectApp extends AsyncDisposable {
  /** Of its Unix socket. There it answers CONNECT as a gateway's door does, too. */
  readonly socketPath: string;
  readonly port: number;
}

/** Compiles it into a directory; a static one runs in any sandbox. Answers the program's path. */
export async function compileApp(directory: string, { isStatic }: { isStatic: boolean }): Promise<string> {
  const program = join(directory, isStatic ? "connect-app-static" : "connect-app");
  await run("gcc", [...FLAGS, ...(isStatic ? ["-static"] : []), SOURCE, "-o", program]);
  return program;
}

/** Serves until it is disposed of. The directory is the caller's. */
export async function startApp(directory: string): Promise<ConnectApp> {
  const program = await compileApp(directory, { isStatic: false });
  const socketPath = join(directory, "app.sock");
  const [port] = await freePorts();
  const child = spawn(program, ["serve", socketPath, String(port)], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const ended = exited.then(() => Promise.reject(new Error("the app behind the proxies ended")));
  await Promise.race([once(child.stdout, "data"), ended]);
  return {
    socketPath,
    port,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
    },
  };
}
