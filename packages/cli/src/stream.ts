// A process in a sandbox at this terminal: its output goes out as it comes, our input goes in, sizes follow.
import type { ExitStatus, Input, Output, PtySize } from "@sallyport/sdk";
import { SallyportError } from "@sallyport/sdk";
import type { CliContext } from "./context.ts";
import { write } from "./output.ts";

/** What a process and a sandbox have in common. */
export interface Attachable {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  wait(options: { signal: AbortSignal }): Promise<ExitStatus>;
  resize(size: PtySize): Promise<void>;
}

/** The size of our terminal, or the usual one. */
export function terminalSize({ stdout }: CliContext): PtySize {
  return { columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 };
}

/** Whether there is input to hand on: something piped in, or a terminal that was asked for. */
export function takesInput({ stdin }: CliContext, pty: boolean): boolean {
  return pty || stdin.isTTY !== true;
}

/**
 * Streams until the process has ended and its output is written. Raw bytes: nothing is escaped. Rejects when the
 * context's signal is aborted or our output is gone.
 */
export async function attach(context: CliContext, process: Attachable, pty: boolean): Promise<ExitStatus> {
  const { stdin, stdout, stderr, signal } = context;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  await using cleanUp = new AsyncDisposableStack();
  cleanUp.defer(() => over.abort());
  if (pty) followTerminal(context, process, cleanUp);
  if (takesInput(context, pty)) {
    const feeding = forwardInput(context, process.stdin, stop);
    cleanUp.defer(() => {
      // The process has ended: whoever still writes to us is not awaited.
      over.abort();
      stdin.destroy();
      return Promise.race([feeding, Promise.resolve()]);
    });
  } else {
    // One that has ended already has no input to close.
    await process.stdin.end().then(undefined, () => undefined);
  }
  const results = await Promise.all([
    process.wait({ signal: stop }),
    forward(process.stdout, stdout, stop),
    forward(process.stderr, stderr, stop),
  ]);
  return results[0];
}

/** Writes an output to its end, or until told to stop. */
export async function forward(source: Output, target: CliContext["stdout"], stop: AbortSignal): Promise<void> {
  const reader = source.getReader();
  const cancel = () => {
    void reader.cancel("stopped");
  };
  stop.addEventListener("abort", cancel, { once: true });
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) await write(target, next.value);
  } finally {
    stop.removeEventListener("abort", cancel);
  }
}

/** Hands on what comes in. Never rejects: a process that does not read is not our failure. */
async function forwardInput({ stdin }: CliContext, target: Input, stop: AbortSignal): Promise<void> {
  try {
    for await (const chunk of stdin) {
      if (stop.aborted) return;
      await target.send(typeof chunk === "string" ? chunk : (chunk as Uint8Array));
    }
    await target.end();
  } catch (error) {
    // It reads no more, has ended, or our own input was closed; its exit status tells the rest.
    if (!SallyportError.is(error) && !stop.aborted) await target.end().then(undefined, () => undefined);
  }
}

function followTerminal(context: CliContext, process: Attachable, cleanUp: AsyncDisposableStack): void {
  const { stdin, stdout } = context;
  if (stdin.isTTY === true && stdin.setRawMode !== undefined) {
    stdin.setRawMode(true);
    cleanUp.defer(() => {
      stdin.setRawMode?.(false);
    });
  }
  const resize = () => {
    // A size that is lost is followed by the next; the process goes on without it.
    process.resize(terminalSize(context)).then(undefined, () => undefined);
  };
  stdout.on("resize", resize);
  cleanUp.defer(() => {
    stdout.off("resize", resize);
  });
}
