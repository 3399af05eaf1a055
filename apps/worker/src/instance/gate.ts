// Lets only so many do something at one time; the others wait in line.

export interface Gate {
  /** Runs the task when it is its turn. Rejects with the signal's reason when aborted while waiting. */
  pass<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function openGate(width: number): Gate {
  let inside = 0;
  const line: (() => void)[] = [];
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
    if (next === undefined) inside -= 1;
    else next();
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
  };
}
