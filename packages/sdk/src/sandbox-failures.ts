// Errors that tell of a sandbox's or a process's end.
import type { SandboxInfo } from "./convert.ts";
import type { SallyportError } from "./errors.ts";
import { sdkError } from "./errors.ts";
import type { RunResult } from "./exit-status.ts";
import { describeExit } from "./exit-status.ts";

const SHOWN_STDERR_LINES = 10;
const SHOWN_STDERR_CHARACTERS = 2_000;

/** Throws: the streams of a command that is not there are asked for. */
export function refuseWithoutCommand(): void {
  throw sdkError("FailedPrecondition", "the sandbox was created without a command", {
    hint: "create it with one, or use run() or exec()",
  });
}

/** What was asked of a sandbox came after its end. */
export function sandboxEnded(info: SandboxInfo, cause?: unknown): SallyportError {
  const how = info.exitStatus === undefined ? "" : ` (${describeExit(info.exitStatus)})`;
  return sdkError("SandboxEnded", `${info.id} has ended${how}`, { cause });
}

/** A checked run that did not exit 0, with the end of what it said. */
export function processFailed(command: readonly string[], result: RunResult): SallyportError {
  const tail = result.stderr
    .trimEnd()
    .split("\n")
    .slice(-SHOWN_STDERR_LINES)
    .join("\n")
    .slice(-SHOWN_STDERR_CHARACTERS);
  const message = `${JSON.stringify(command[0])} failed: ${describeExit(result)}${tail === "" ? "" : `\n${tail}`}`;
  return sdkError("ProcessFailed", message, { result });
}
