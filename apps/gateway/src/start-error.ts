// Why a command could not be started, in words: init's stage and errno as an error that names the field at fault.
import { getSystemErrorMap } from "node:util";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { StartStage } from "./init/messages.ts";

/** The error for a start that init refused. Of the command it tells the program alone: arguments may be secrets. */
export function startError(program: string, stage: StartStage, errno: number): AppError {
  const reason = getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
  switch (stage) {
    case "exec":
      return invalidArgument("command", `cannot start ${printable(program)}: ${reason}`);
    case "cwd":
      return invalidArgument("workdir", `cannot be entered: ${reason}`);
    case "limit":
      return new AppError("ResourceExhausted", "the sandbox has too many processes");
    case "pipe":
    case "fork":
      return new AppError("ResourceExhausted", `the sandbox cannot make another process: ${reason}`);
  }
}

const SHOWN_CHARACTERS = 200;

/** A name of the caller's for a message: no control characters, not too long. */
function printable(text: string): string {
  return text
    .slice(0, SHOWN_CHARACTERS)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, "?");
}
