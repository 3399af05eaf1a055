// What stands between client and app: a program that listens at an address.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { cpuMsOf, memoryMiB } from "./processes.ts";

export interface Place {
  readonly name: string;
  /** Of the loopback. */
  readonly address: string;
  readonly port: number;
}

export interface Front extends Place, AsyncDisposable {
  /** CPU time so far, in milliseconds. */
  cpuMs(): number;
  memoryMiB(): number;
}

const READY_MS = 20_000;

/** Starts a program and waits until it listens. Its one process is what it costs. */
export async function startFront(place: Place, argv: readonly [string, ...string[]]): Promise<Front> {
  // However the benchmark ends, what it started ends with it.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (chunk: string) => {
    log = (log + chunk).slice(-2_000);
  });
  const pids = child.pid === undefined ? [] : [child.pid];
  await listens(place, child, () => log);
  return {
    ...place,
    cpuMs: () => cpuMsOf(pids),
    memoryMiB: () => memoryMiB(pids),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL"); // nobody is in there any more
      await exited;
    },
  };
}

async function listens({ name, address, port }: Place, child: ChildProcess, log: () => string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const socket = connect(port, address);
    try {
      await once(socket, "connect");
      return;
    } catch {
      if (child.exitCode === null && performance.now() <= deadline) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      child.kill("SIGKILL");
      throw new Error(`${name} did not start: ${log()}`);
    } finally {
      socket.destroy();
    }
  }
}
