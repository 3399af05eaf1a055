// Running a process to its end in one call, through outages, and collecting what it writes.
import type { ReadOutputResponse, RunExecRequest } from "@sallyport/contracts";
import type { GrpcCallOptions, SandboxIOClient } from "@sallyport/contracts/grpc";
import { callServerStream } from "@sallyport/contracts/grpc";
import { sdkError } from "./errors.ts";
import type { ExitStatus, RunResult } from "./exit-status.ts";
import { toExitStatus } from "./exit-status.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";

/** Starts the process and waits for its end. `onStarted` is called once it is certain that it runs, or ran. */
export async function runToEnd(
  io: SandboxIo,
  scope: Scope,
  start: Omit<RunExecRequest, "stdoutOffset" | "stderrOffset">,
  onStarted: () => void,
): Promise<RunResult> {
  const stdout = new Collected("stdout");
  const stderr = new Collected("stderr");
  let status: ExitStatus | undefined;
  const open = (stub: SandboxIOClient, call: GrpcCallOptions) => {
    const request = { ...start, stdoutOffset: stdout.offset, stderrOffset: stderr.offset };
    return callServerStream(stub, stub.runExec, request, call);
  };
  for await (const { event } of io.stream(scope, open, () => status !== undefined)) {
    onStarted();
    if (event?.$case === "stdout") stdout.take(event.value);
    if (event?.$case === "stderr") stderr.take(event.value);
    if (event?.$case === "outcome") status = toExitStatus(event.value);
  }
  if (status === undefined) throw sdkError("Internal", "the platform did not say how the process ended");
  return { ...status, stdout: stdout.text(), stderr: stderr.text() };
}

/** One output, as it comes. */
class Collected {
  /** The byte that comes next. */
  offset = 0;
  readonly #name: string;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #text = "";

  constructor(name: string) {
    this.#name = name;
  }

  take({ event }: ReadOutputResponse): void {
    if (event === undefined) return; // a newer gateway's
    const { offset: at } = event.value;
    if (at > this.offset) {
      throw sdkError("FailedPrecondition", `bytes ${this.offset} to ${at} of ${this.#name} are no longer kept`);
    }
    if (event.$case !== "chunk") return;
    const data = event.value.data.subarray(this.offset - at);
    this.offset += data.length;
    this.#text += this.#decoder.decode(data, { stream: true });
  }

  text(): string {
    return this.#text + this.#decoder.decode();
  }
}
