// Lets only so many do something at one time; the others wait in line.
import { untilAborted } from "./until-aborted.ts";

export interface Gate {
  /** Runs the task when it is its turn. Rejects with the signal's reason when aborted while waiting. */
  pass<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Resolves when nobody is inside or in line. Rejects with the signal's reason. */
  quiet(signal: AbortSignal): Promise<void>;
}

export function openGate(width: number): Gate {
  let inside = 0;
  const line: (() => void)[] = [];
  let emptied = Promise.withResolvers<void>();
  const enter = (signal: AbortSignal | undefined) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      if (inside < width) {
        inside += 1;
        resolve();
        return;
      }
      const onAbort = () => {
        const place = line.indexOf(onTurn);
        if (place >= 0) line.splice(place, 1);
        reject(signal?.reason as Error);
      };
      const onTurn = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      line.push(onTurn);
    });
  const leave = () => {
    const next = line.shift();
    if (next !== undefined) next();
    else {
      inside -= 1;
      if (inside > 0) return;
      emptied.resolve();
      emptied = Promise.withResolvers();
    }
  };
  return {
    async pass(task, signal) {
      await enter(signal);
      try {
        return await task();
      } finally {
        leave();
      }
    },
    async quiet(signal) {
      signal.throwIfAborted();
      while (inside > 0) await untilAborted(emptied.promise, signal);
    },
  };
}
