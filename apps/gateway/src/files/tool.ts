// One operation on files as the gateway runs it: the tool started, its records read, its end told.
import type { StreamProcess } from "./stream-process.ts";
import type { StreamProcesses } from "./stream-processes.ts";
import { toolError, toolKilled } from "./tool-error.ts";
import type { ToolRecord } from "./tool-records.ts";
import { outOfShape, ToolRecordReader } from "./tool-records.ts";

/** Where every sandbox has the tool: init's program. */
export const TOOL_PATH = "/.sallyport/init";

/** What runs the tools of one instance. */
export interface ToolHost {
  readonly streams: StreamProcesses;
  readonly program: string;
}

/** A record that is not the report of a failure. */
export type ToolAnswer = Exclude<ToolRecord, { readonly type: "failure" }>;

/** Starts the tool; whoever calls this calls `host.streams.leave` in the end. */
export function startTool(host: ToolHost, words: readonly string[], signal: AbortSignal): Promise<StreamProcess> {
  return host.streams.start([host.program, "files", ...words], signal);
}

/**
 * Yields what the tool answers, as much at once as has come; the last record of all is its end. Throws what went wrong
 * in the sandbox: NotFound, AlreadyExists, FailedPrecondition, PermissionDenied, ResourceExhausted, InvalidArgument.
 */
export async function* toolAnswers(process: StreamProcess, signal: AbortSignal): AsyncGenerator<ToolAnswer[], void> {
  const reader = new ToolRecordReader();
  while (!reader.over) {
    const chunks = await process.take(signal);
    if (chunks === undefined) throw toolKilled();
    const answers: ToolAnswer[] = [];
    for (const chunk of chunks) {
      for (const record of reader.push(chunk)) {
        if (record.type === "failure") throw toolError(record.failure, record.errno);
        answers.push(record);
      }
    }
    if (answers.length > 0) yield answers;
  }
}

/** Runs an operation that answers in few words: its records, the end excepted. */
export async function runTool(host: ToolHost, words: readonly string[], signal: AbortSignal): Promise<ToolAnswer[]> {
  const process = await startTool(host, words, signal);
  try {
    const all: ToolAnswer[] = [];
    for await (const answers of toolAnswers(process, signal)) {
      all.push(...answers);
      if (all.length > MAX_FEW) throw outOfShape();
    }
    return all.slice(0, -1);
  } finally {
    host.streams.leave(process);
  }
}

const MAX_FEW = 2;
