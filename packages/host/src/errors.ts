// The one error of this package: what the machine could not do, with a code of a closed set.

/**
 * - `CommandFailed`: a program ended with a status other than 0, or could not be started.
 * - `Timeout`: a program or a wait took longer than its deadline.
 * - `BadDownload`: what came over the network is not what is pinned.
 * - `Unsupported`: this machine cannot do it, and nothing that set-up may do changes that.
 * - `NotFound`: something that set-up makes is not there.
 */
export type HostErrorCode = "CommandFailed" | "Timeout" | "BadDownload" | "Unsupported" | "NotFound";

export interface HostErrorOptions {
  /** What would mend it, as words for a person. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An error whose message may be shown to anybody: it holds no secret. */
export class HostError extends Error {
  readonly code: HostErrorCode;
  readonly hint: string | undefined;

  constructor(code: HostErrorCode, message: string, options: HostErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "HostError";
    this.code = code;
    this.hint = options.hint;
  }
}

/** The words of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether this is the operating system's "there is no such file". */
export function isNoSuchFile(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
