// Why an operation on files failed, in words: the tool's errno as an error of the closed set. Knowledge as a table.
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { AppError } from "@sallyport/appkit/errors";
import type { ErrorCode } from "@sallyport/contracts";
import type { ToolFailure } from "./tool-records.ts";
import { outOfShape } from "./tool-records.ts";

type Row = readonly [code: ErrorCode, message: string, hint?: string];

const DISK_HINT = "remove files in the sandbox, or create it with a larger disk (diskMiB)";
const { errno } = constants;
const BY_ERRNO: ReadonlyMap<number, Row> = new Map<number, Row>([
  [errno.ENOENT, ["NotFound", "does not exist"]],
  [errno.EEXIST, ["AlreadyExists", "exists already"]],
  [errno.ENOTDIR, ["FailedPrecondition", "is not a directory, or lies below something that is none"]],
  [errno.EISDIR, ["FailedPrecondition", "is a directory"]],
  [errno.ENOTEMPTY, ["FailedPrecondition", "is a directory that is not empty", "remove it with recursive"]],
  [errno.EBUSY, ["FailedPrecondition", "is in use"]],
  [errno.ETXTBSY, ["FailedPrecondition", "is a program that runs"]],
  [errno.EROFS, ["FailedPrecondition", "is on a read-only file system"]],
  [errno.EACCES, ["PermissionDenied", "the sandbox's user has no permission"]],
  [errno.EPERM, ["PermissionDenied", "the sandbox's user has no permission"]],
  [errno.ELOOP, ["InvalidArgument", "leads through too many symbolic links"]],
  [errno.ENAMETOOLONG, ["InvalidArgument", "is too long, or has a name in it that is"]],
  [errno.EINVAL, ["InvalidArgument", "is not allowed here"]],
  [errno.ENOSPC, ["ResourceExhausted", "the sandbox's disk is full", DISK_HINT]],
  [errno.EDQUOT, ["ResourceExhausted", "the sandbox's disk is full", DISK_HINT]],
  [errno.EFBIG, ["ResourceExhausted", "the file would be too large"]],
  [errno.ENOMEM, ["ResourceExhausted", "the sandbox's memory is exhausted"]],
  [errno.EMFILE, ["ResourceExhausted", "the sandbox has too many open files"]],
  [errno.ENFILE, ["ResourceExhausted", "the sandbox has too many open files"]],
]);

/** The error for a failed operation; the field at fault is the path. */
export function toolError(failure: ToolFailure, code: number): AppError {
  switch (failure) {
    case "system": {
      const reason = getSystemErrorMap().get(-code)?.[1] ?? `error ${code}`;
      return pathError(BY_ERRNO.get(code) ?? ["FailedPrecondition", `failed: ${reason}`]);
    }
    case "type":
      return pathError(["FailedPrecondition", "is not a regular file"]);
    case "too-many":
      return pathError(["ResourceExhausted", "has too many entries to be listed"]);
    case "input":
      return outOfShape(); // we end every input that we begin
  }
}

/** The tool ended without a word. */
export function toolKilled(): AppError {
  return new AppError("FailedPrecondition", "the operation was killed within the sandbox", {
    hint: "is its memory exhausted?",
  });
}

function pathError([code, message, hint]: Row): AppError {
  return new AppError(code, `path: ${message}`, { field: "path", hint });
}
