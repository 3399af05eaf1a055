// A loop of a service: does its work now and then until it is disposed of.
import type { Clock } from "@sallyport/appkit/clock";

/** Does a thing that never rejects, again and again, with so much time between; disposal waits for what is under way. */
export function repeatedly(
  options: { readonly clock: Clock; readonly everyMs: number },
  work: (signal: AbortSignal) => Promise<void>,
): AsyncDisposable {
  const stop = new AbortController();
  const { signal } = stop;
  const running = (async () => {
    while (!signal.aborted) {
      await work(signal);
      if (!signal.aborted) await options.clock.sleep(options.everyMs, signal).catch(endOfPause);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("stopping"));
      await running;
    },
  };
}

function endOfPause(): void {
  // Told to stop: the loop sees it.
}
