// How the fake platform tells what a program writes: one output, or both with the end.
import { once } from "node:events";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { ReadOutputResponse, RunExecRequest, RunExecResponse } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";
import type { FakeProcess } from "./fake-process.ts";

/** How the fake misbehaves while it tells. */
export interface TellOptions {
  readonly offset: number;
  readonly follow: boolean;
  readonly maxChunkBytes: number;
  /** It breaks off after so many messages. */
  readonly endReadsAfter: number;
  readonly signal: AbortSignal;
}

/** Tells an output from an offset, message by message. */
export async function* tellOutput(
  output: FakeProcess["stdout"],
  options: TellOptions,
): AsyncGenerator<ReadOutputResponse, void> {
  const { endReadsAfter, follow, maxChunkBytes, signal } = options;
  let { offset } = options;
  if (offset < output.start) {
    offset = output.start;
    yield { event: { $case: "gap", value: { offset } } };
  }
  for (let sent = 0; !signal.aborted; sent += 1) {
    if (sent >= endReadsAfter) throw wireError({ code: "Unavailable" });
    if (offset < output.length) {
      const data = output.slice(offset, offset + maxChunkBytes);
      yield { event: { $case: "chunk", value: { offset, data } } };
      offset += data.length;
    } else if (output.ended) {
      yield { event: { $case: "end", value: { offset } } };
      return;
    } else if (follow) {
      await once(output, "change", { signal });
    } else {
      return;
    }
  }
}

/** Tells a process to its end: its output, then its error output, then how it ended. */
export async function* tellAll(
  process: FakeProcess,
  from: Pick<RunExecRequest, "stdoutOffset" | "stderrOffset">,
  options: Omit<TellOptions, "offset" | "follow">,
): AsyncGenerator<RunExecResponse, void> {
  for await (const value of tellOutput(process.stdout, { ...options, offset: from.stdoutOffset, follow: true })) {
    yield { event: { $case: "stdout", value } };
  }
  for await (const value of tellOutput(process.stderr, { ...options, offset: from.stderrOffset, follow: true })) {
    yield { event: { $case: "stderr", value } };
  }
  while (process.outcome === undefined) await once(process, "change", { signal: options.signal });
  yield { event: { $case: "outcome", value: process.outcome } };
}

/** Writes messages as fast as the caller takes them. */
export async function writeAll<Message>(
  call: ServerWritableStream<unknown, Message>,
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) if (!call.write(message)) await once(call, "drain", { signal });
}
