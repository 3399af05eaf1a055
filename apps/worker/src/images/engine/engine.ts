// The engine as its users see it: there when it is needed, gone when nobody has used it for a while.
//
//   stopped ──use──▶ starting ──▶ running ──idle, or its own end──▶ stopping ──▶ stopped
import type { Clock } from "@sallyport/appkit/clock";
import { ENGINE_IDLE_MS } from "../limits.ts";
import type { EngineOptions, RunningEngine } from "./process.ts";
import { startEngine, sweepEngine } from "./process.ts";

export interface Engine extends AsyncDisposable {
  /** Runs `work` with an engine that runs. Its signal is aborted when the caller's is, or when the engine ends. */
  use<T>(work: (engine: RunningEngine, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
}

export async function openEngine(
  options: EngineOptions & { readonly clock: Clock; readonly idleMs?: number },
): Promise<Engine> {
  await sweepEngine(options);
  const closed = new AbortController();
  let current: Promise<RunningEngine> | undefined;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;
  let stopping: Promise<void> = Promise.resolve();

  const stop = () => {
    const engine = current;
    if (engine === undefined) return;
    current = undefined;
    stopping = stopping.then(async () => {
      try {
        await (await engine)[Symbol.asyncDispose]();
      } catch (error) {
        options.logger.error({ err: error }, "something of the engine is left");
      }
    });
  };

  const start = () => {
    if (current !== undefined) return current;
    const before = stopping;
    const engine = before.then(() => startEngine(options, closed.signal));
    current = engine;
    engine.then(
      ({ ended }) => {
        ended.addEventListener("abort", () => {
          if (current !== engine) return;
          if (!closed.signal.aborted) options.logger.warn({}, "the engine has ended by itself");
          stop();
        });
      },
      () => {
        if (current === engine) current = undefined; // whoever asked is told
      },
    );
    return engine;
  };

  return {
    async use(work, signal) {
      closed.signal.throwIfAborted();
      clearTimeout(idle);
      users += 1;
      try {
        const engine = await start();
        const either = AbortSignal.any([signal, engine.ended, closed.signal]);
        return await work(engine, either);
      } finally {
        users -= 1;
        if (users === 0 && !closed.signal.aborted) {
          idle = setTimeout(stop, options.idleMs ?? ENGINE_IDLE_MS);
          idle.unref();
        }
      }
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new Error("the worker stops"));
      clearTimeout(idle);
      stop();
      await stopping;
    },
  };
}
