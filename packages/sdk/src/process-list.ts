// The processes of a sandbox, running and ended, as its gateway keeps them.
import type { Exec } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { ExitStatus } from "./exit-status.ts";
import { toExitStatus } from "./exit-status.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";

/** A process of a sandbox. */
export interface ProcessInfo {
  /** Names it within its sandbox; `entrypoint` is the sandbox's own command. */
  readonly id: string;
  readonly command: readonly string[];
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** Undefined while it runs. */
  readonly exitStatus: ExitStatus | undefined;
  /** Whether it has a terminal. */
  readonly pty: boolean;
}

export async function listProcesses(io: SandboxIo, scope: Scope): Promise<readonly ProcessInfo[]> {
  const { execs } = await io.call(scope, (stub, call) => callUnary(stub, stub.listExecs, {}, call));
  return execs.map(toProcessInfo);
}

function toProcessInfo({ execId, command, startedAt, endedAt, outcome, pty }: Exec): ProcessInfo {
  const exitStatus = outcome === undefined ? undefined : toExitStatus(outcome);
  return Object.freeze({ id: execId, command: command?.argv ?? [], startedAt, endedAt, exitStatus, pty });
}
