// How a process is started: options of a run → a request whose id is chosen here.
import { randomUUID } from "node:crypto";
import type { StartExecRequest } from "@sallyport/contracts";
import { toCommand, toEnv, toPty } from "./convert.ts";
import type { ExecOptions } from "./process.ts";
import { wholeNumber } from "./wire-values.ts";

/** How {@link Sandbox.run} runs. `timeoutMs` is the deadline of the whole run; past it the process is killed. */
export interface RunOptions extends ExecOptions {
  /** Rejects with `ProcessFailed` unless the process exits 0. */
  readonly check?: boolean | undefined;
}

/** The request, but for whether there is standard input. */
export function toStart(command: readonly string[], options: ExecOptions): Omit<StartExecRequest, "stdin"> {
  return {
    // Chosen here, so that a repeated start starts nothing twice.
    execId: randomUUID(),
    command: toCommand(command),
    env: toEnv(options.env),
    workdir: options.workdir,
    pty: toPty(options.pty),
    lifetimeMs: wholeNumber("lifetimeMs", options.lifetimeMs, Number.MAX_SAFE_INTEGER),
  };
}
