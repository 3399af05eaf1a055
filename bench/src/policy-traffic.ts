// The program that sends and swallows traffic for the benchmark "policy", compiled for the run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { run } from "./command.ts";
import { compile } from "./native.ts";

const PORT = "8099";
/** Sender and server each have a processor before whatever else runs: what others do then costs no sample. */
const FIRST = ["chrt", "--fifo", "10", "taskset", "--cpu-list"] as const;
const SENDER_CPU = "0";
const SERVER_CPU = availableParallelism() > 1 ? "1" : SENDER_CPU;

/** From where it is sent, and to which address. */
export interface Path {
  readonly namespace: string;
  readonly server: string;
}

/** Bytes of one connection, connections (one at a time, or 32), or datagrams. */
export type Load = "stream" | "connect" | "crowd" | "datagrams";

export interface Traffic {
  serve(namespace: string, address: string): Promise<AsyncDisposable>;
  /** Nanoseconds that so much of the load took. Rejects where it does not get through. */
  send(load: Load, path: Path, amount: number): Promise<number>;
  /** Datagrams that have come to the servers of a namespace, read or not. */
  arrived(namespace: string): Promise<number>;
}

/** Compiles it into a directory that is the caller's to remove. */
export async function makeTraffic(directory: string): Promise<Traffic> {
  const program = await compile("traffic.c", directory);
  const inside = (namespace: string, cpu: string, words: readonly string[]) => {
    return ["netns", "exec", namespace, ...FIRST, cpu, program, ...words];
  };
  return {
    async serve(namespace, address) {
      const child = spawn("ip", inside(namespace, SERVER_CPU, ["serve", address, PORT]), {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      const ended = exited.then(() => Promise.reject(new Error("the server of the traffic ended")));
      await Promise.race([once(child.stdout, "data"), ended]);
      return {
        async [Symbol.asyncDispose]() {
          child.stdin.end();
          await exited;
        },
      };
    },
    async send(load, { namespace, server }, amount) {
      return Number(await run("ip", inside(namespace, SENDER_CPU, [load, server, PORT, String(amount)])));
    },
    async arrived(namespace) {
      const [names = [], values = []] = (await run("ip", ["netns", "exec", namespace, "cat", "/proc/net/snmp"]))
        .split("\n")
        .filter((line) => line.startsWith("Udp:"))
        .map((line) => line.split(" "));
      const count = (name: string) => Number(values[names.indexOf(name)]);
      return count("InDatagrams") + count("InErrors");
    },
  };
}
