// What processes write, as SandboxIO tells it: one output, or both with the end of the process, in one stream.
import type { ReadOutputResponse, RunExecResponse } from "@sallyport/contracts";
import type { Process } from "./process.ts";
import type { ReadOptions } from "./spool/reader.ts";
import { readStream } from "./spool/reader.ts";
import type { StreamSpool } from "./spool/stream.ts";

/** One output, from an offset. Each step says that what was yielded before was taken. */
export async function* tellOutput(spool: StreamSpool, options: ReadOptions): AsyncGenerator<ReadOutputResponse> {
  for await (const event of readStream(spool, options)) {
    const { offset } = event;
    switch (event.kind) {
      case "chunk":
        yield { event: { $case: "chunk", value: { offset, data: event.data } } };
        break;
      case "gap":
        yield { event: { $case: "gap", value: { offset } } };
        break;
      case "end":
        yield { event: { $case: "end", value: { offset } } };
        break;
    }
  }
}

/** Both outputs from these offsets to their ends, as they come, and then how the process ended. */
export async function* tellAll(
  process: Process,
  from: { readonly stdout: number; readonly stderr: number },
  signal: AbortSignal,
): AsyncGenerator<RunExecResponse> {
  const left = new AbortController();
  const options = { follow: true, signal: AbortSignal.any([signal, left.signal]) };
  const stdout = tellOutput(process.stdout.spool, { ...options, offset: from.stdout, field: "stdout_offset" });
  const stderr = tellOutput(process.stderr.spool, { ...options, offset: from.stderr, field: "stderr_offset" });
  const outputs = [
    mapped(stdout, (value): RunExecResponse => ({ event: { $case: "stdout", value } })),
    mapped(stderr, (value): RunExecResponse => ({ event: { $case: "stderr", value } })),
  ];
  yield* merge(outputs, left);
  while (process.outcome === undefined) await process.changed(signal);
  yield { event: { $case: "outcome", value: process.outcome } };
}

async function* mapped<From, To>(source: AsyncIterable<From>, map: (item: From) => To): AsyncGenerator<To> {
  for await (const item of source) yield map(item);
}

/**
 * Items of all sources as they come, one of each held at most; a source goes on once its item was taken. Whoever leaves
 * early ends the sources by `left`, on whose signal they must end.
 */
async function* merge<Item>(sources: readonly AsyncIterable<Item>[], left: AbortController): AsyncGenerator<Item> {
  const held: { readonly item: Item; readonly taken: () => void }[] = [];
  let open = sources.length;
  let failure: { readonly error: unknown } | undefined;
  let change = Promise.withResolvers<void>();
  const follow = async (source: AsyncIterable<Item>) => {
    try {
      for await (const item of source) {
        const taken = Promise.withResolvers<void>();
        held.push({ item, taken: taken.resolve });
        change.resolve();
        if (!left.signal.aborted) await taken.promise;
        if (left.signal.aborted) return;
      }
    } catch (error) {
      failure ??= { error };
    } finally {
      open -= 1;
      change.resolve();
    }
  };
  for (const source of sources) void follow(source);
  const letGo: (() => void)[] = [];
  try {
    for (;;) {
      if (failure !== undefined) throw failure.error;
      const next = held.shift();
      if (next !== undefined) {
        letGo.push(next.taken);
        yield next.item;
        letGo.pop()?.();
      } else if (open === 0) {
        return;
      } else {
        await change.promise;
        change = Promise.withResolvers<void>();
      }
    }
  } finally {
    left.abort();
    for (const taken of [...letGo, ...held.map((item) => item.taken)]) taken();
  }
}
