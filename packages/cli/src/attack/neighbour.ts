// A sandbox of somebody else's, which must go on answering whatever the attackers do, and the host's own pulse.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";

/** How long it may take to answer while a bomb goes off, in milliseconds: far beyond what a user would call slow. */
const ANSWER_MS = 15_000;
/** Tasks that the host may have more than before: a sandbox's own bound, and some room for the machine's life. */
const MORE_TASKS = 2_000;
/** Memory that must be left on the host. */
const LEFT_MEMORY = 0.03;

export interface Neighbour extends AsyncDisposable {
  /** Undefined when all is well, else what is wrong. Asks the neighbour once. */
  check(signal: AbortSignal): Promise<string | undefined>;
}

export async function moveInNeighbour(client: Client, signal: AbortSignal): Promise<Neighbour> {
  const sandbox = await Sandbox.create({ client, signal, network: "blocked", lifetimeMs: 30 * 60_000 });
  const tasksBefore = await hostTasks();
  return {
    async check(outer) {
      const word = randomUUID();
      const asked = performance.now();
      try {
        const { stdout } = await sandbox.run(["echo", word], { signal: outer, timeoutMs: ANSWER_MS });
        if (stdout.trim() !== word) return "the neighbour answered something else";
      } catch (error) {
        outer.throwIfAborted();
        const ms = Math.round(performance.now() - asked);
        return `the neighbour did not answer (${ms} ms): ${error instanceof Error ? error.message : "unknown"}`;
      }
      const more = (await hostTasks()) - tasksBefore;
      if (more > MORE_TASKS) return `the host has ${more} tasks more than before`;
      if (freemem() / totalmem() < LEFT_MEMORY) return "the host is short of memory";
      return undefined;
    },
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

/** Tasks of this machine, which is the platform's where it runs on one. */
async function hostTasks(): Promise<number> {
  const [, , , tasks = ""] = (await readFile("/proc/loadavg", "utf8")).split(" ");
  return Number(tasks.split("/")[1]);
}
