// Learning that a sandbox is gone: from the exit file that conmon writes, or, where conmon was killed, from the
// disappearance of the sandbox's process.
import { type FSWatcher, watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerEnd, SandboxProcesses } from "../runtime.ts";
import { isAlive, isTaken } from "./processes.ts";

export interface ExitWatchOptions {
  readonly directory: string;
  /** How often processes are looked at. 1,000 ms when unset. */
  readonly pollMs?: number;
}

export interface ExitWatch extends Disposable {
  /** Resolves when the sandbox is gone; rejects with the signal's reason. */
  wait(containerId: string, processes: SandboxProcesses, signal: AbortSignal): Promise<ContainerEnd>;
}

interface Waiting {
  readonly processes: SandboxProcesses;
  readonly resolve: (end: ContainerEnd) => void;
  /** Polls in which the process was gone and no exit file had come. */
  missedPolls: number;
}

/** conmon writes its file a moment after the process is gone; when it does not, it is gone itself. */
const POLLS_WITHOUT_FILE = 2;
/** In the others only a number that nobody has is looked into: hundreds of sandboxes that sleep shall cost nothing. */
const POLLS_PER_THOROUGH_ONE = 10;

export function watchExits(options: ExitWatchOptions): ExitWatch {
  const waiting = new Map<string, Waiting>();
  const settle = (containerId: string, end: ContainerEnd) => {
    waiting.get(containerId)?.resolve(end);
    waiting.delete(containerId);
  };
  const look = async (containerId: string) => {
    const exitCode = await readExitCode(join(options.directory, containerId));
    if (exitCode !== undefined) settle(containerId, { exitCode });
  };
  let polls = 0;
  const poll = async () => {
    polls += 1;
    const isThorough = polls % POLLS_PER_THOROUGH_ONE === 0;
    await Promise.all(
      [...waiting].map(async ([containerId, entry]) => {
        const { sandbox } = entry.processes;
        if (!isThorough && entry.missedPolls === 0 && isTaken(sandbox.pid)) return;
        if (await isAlive(sandbox)) return;
        await look(containerId);
        entry.missedPolls += 1;
        if (entry.missedPolls >= POLLS_WITHOUT_FILE) settle(containerId, { exitCode: undefined });
      }),
    );
  };
  // Losing the watch only costs the time until the next poll.
  const watcher: FSWatcher = watch(options.directory, { persistent: false }, (_event, name) => {
    if (name !== null && waiting.has(name)) void look(name);
  });
  watcher.on("error", () => watcher.close());
  const timer = setInterval(() => void poll(), options.pollMs ?? 1_000);
  timer.unref();
  return {
    wait: (containerId, processes, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = () => {
          waiting.delete(containerId);
          reject(signal.reason as Error);
        };
        signal.addEventListener("abort", onAbort, { once: true });
        waiting.set(containerId, {
          processes,
          missedPolls: 0,
          resolve: (end) => {
            signal.removeEventListener("abort", onAbort);
            resolve(end);
          },
        });
        void look(containerId);
      }),
    [Symbol.dispose]() {
      clearInterval(timer);
      watcher.close();
    },
  };
}

/** Undefined until conmon has written it whole. */
async function readExitCode(path: string): Promise<number | undefined> {
  try {
    const text = (await readFile(path, "utf8")).trim();
    return /^-?[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined; // the sandbox lives
  }
}
