// What stands between client and app in the benchmark "connect": anything that listens at an address.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { cpuMsOf } from "./processes.ts";

export interface Front extends AsyncDisposable {
  readonly name: string;
  /** Of 127.0.0.1. */
  readonly port: number;
  /** The host that clients name: in `Host`, and by SNI. */
  readonly host: string;
  /** Each request carries the next one; none when empty. */
  readonly tokens: readonly string[];
  /** CPU time of all its processes so far, in milliseconds. */
  cpuMs(): number;
}

const READY_MS = 20_000;

/** Starts a program that listens at a port of loopback, and waits until it does. Its one process is what it costs. */
export async function startFront(
  about: Pick<Front, "name" | "port" | "host" | "tokens">,
  argv: readonly [string, ...string[]],
): Promise<Front> {
  // However the benchmark ends, what it started ends with it.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (chunk: string) => {
    log = (log + chunk).slice(-2_000);
  });
  const { pid } = child;
  await listens(about, child, () => log);
  return {
    ...about,
    cpuMs: () => (pid === undefined ? 0 : cpuMsOf([pid])),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL"); // nobody is in there any more
      await exited;
    },
  };
}

async function listens(
  { name, port }: Pick<Front, "name" | "port">,
  child: ChildProcess,
  log: () => string,
): Promise<void> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`${name} did not start: ${log()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      socket.destroy();
    }
  }
}
