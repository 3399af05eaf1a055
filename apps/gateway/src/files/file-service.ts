// The files of the one sandbox that the caller's token names: each call is one run of the tool within it, but for a file
// that is written in pieces. Nothing of a file is kept here.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { CallContext, Handlers } from "@sallyport/appkit/service";
import type {
  FileInfo,
  ListFilesResponse,
  ReadFileRequest,
  ReadFileResponse,
  WriteFileRequest,
} from "@sallyport/contracts";
import { EXEC_ID_PATTERN, MAX_CHUNK_BYTES } from "@sallyport/contracts";
import type { SandboxIOService } from "@sallyport/contracts/grpc";
import type { Instance } from "../instance.ts";
import { MAX_FILES_PER_MESSAGE, MAX_LISTED_FILES, MAX_PATH_BYTES } from "../limits.ts";
import { mustBeWithin } from "../validate.ts";
import type { Piece } from "./open-writes.ts";
import type { ToolHost } from "./tool.ts";
import { runTool, startTool, toolAnswers } from "./tool.ts";
import type { ToolFileInfo } from "./tool-records.ts";
import { outOfShape } from "./tool-records.ts";

/** How a call gets at its instance, counted as one of its calls while it runs. */
export interface InstanceCalls {
  run<Result>(context: CallContext, call: (instance: Instance) => Promise<Result>): Promise<Result>;
  stream<Item>(context: CallContext, call: (instance: Instance) => AsyncIterable<Item>): AsyncGenerator<Item>;
  /** Rejects unless the instance is open. */
  open(instance: Instance, signal: AbortSignal): Promise<unknown>;
}

type FileHandlers = Pick<
  Handlers<typeof SandboxIOService>,
  "readFile" | "writeFile" | "listFiles" | "statFile" | "makeDirectory" | "removeFile"
>;

const DEFAULT_MODE = 0o644;
const MAX_MODE = 0o7777;

/** The handlers of SandboxIO that are about files. */
export function fileHandlers(calls: InstanceCalls): FileHandlers {
  const few = (context: CallContext, words: readonly string[]) =>
    calls.run(context, async (instance) => {
      await calls.open(instance, context.signal);
      return await runTool(instance.tools, words, context.signal);
    });
  return {
    async *readFile(request, context) {
      const path = pathOf(request.path);
      const offset = mustBeWithin("offset", request.offset, 0, Number.MAX_SAFE_INTEGER);
      const length = request.length;
      if (length !== undefined) mustBeWithin("length", length, 0, Number.MAX_SAFE_INTEGER);
      yield* calls.stream(context, async function* (instance) {
        await calls.open(instance, context.signal);
        yield* readFile(instance.tools, { path, offset, length }, context.signal);
      });
    },

    async writeFile(request, context) {
      const piece = pieceOf(request);
      return await calls.run(context, async (instance) => {
        await calls.open(instance, context.signal);
        return { acceptedOffset: await instance.writes.write(piece, context.signal) };
      });
    },

    async *listFiles(request, context) {
      const path = pathOf(request.path);
      yield* calls.stream(context, async function* (instance) {
        await calls.open(instance, context.signal);
        yield* listFiles(instance.tools, path, context.signal);
      });
    },

    async statFile(request, context) {
      const path = pathOf(request.path);
      const [answer] = await few(context, ["stat", path]);
      if (answer?.type !== "info") throw outOfShape();
      return { file: fileInfoOf(path, answer.info) };
    },

    async makeDirectory(request, context) {
      await few(context, ["mkdir", pathOf(request.path), flag(request.recursive)]);
      return {};
    },

    async removeFile(request, context) {
      await few(context, ["remove", pathOf(request.path), flag(request.recursive)]);
      return {};
    },
  };
}

async function* readFile(
  host: ToolHost,
  { length, offset, path }: ReadFileRequest,
  signal: AbortSignal,
): AsyncGenerator<ReadFileResponse> {
  const words = ["read", path, String(offset), length === undefined ? "-" : String(length)];
  const process = await startTool(host, words, signal);
  let told = false;
  let at = offset;
  try {
    for await (const answers of toolAnswers(process, signal)) {
      const pieces: Buffer[] = [];
      let end: number | undefined;
      for (const answer of answers) {
        if (answer.type === "info" && !told) {
          told = true;
          yield { event: { $case: "info", value: fileInfoOf(path, answer.info) } };
        } else if (answer.type === "data" && told) pieces.push(answer.data);
        else if (answer.type === "end" && told) end = answer.number;
        else throw outOfShape();
      }
      const [first] = pieces;
      const bytes = pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
      at += bytes.length;
      if (length !== undefined && at > offset + length) throw outOfShape();
      for (let from = 0; from < bytes.length; from += MAX_CHUNK_BYTES) {
        yield { event: { $case: "data", value: bytes.subarray(from, from + MAX_CHUNK_BYTES) } };
      }
      if (end === undefined) continue;
      if (end !== at) throw outOfShape();
      yield { event: { $case: "end", value: { offset: end } } };
    }
  } finally {
    host.streams.leave(process);
  }
}

async function* listFiles(host: ToolHost, path: string, signal: AbortSignal): AsyncGenerator<ListFilesResponse> {
  const process = await startTool(host, ["list", path], signal);
  const above = path.endsWith("/") ? path : `${path}/`;
  let total = 0;
  try {
    for await (const answers of toolAnswers(process, signal)) {
      const files: FileInfo[] = [];
      for (const answer of answers) {
        if (answer.type === "end") break;
        if (answer.type !== "info" || !isName(answer.info.name)) throw outOfShape();
        files.push(fileInfoOf(`${above}${answer.info.name}`, answer.info));
      }
      total += files.length;
      if (total > MAX_LISTED_FILES) throw outOfShape();
      for (const message of inMessages(files)) yield { files: message };
    }
  } finally {
    host.streams.leave(process);
  }
}

/** Few enough in each for the bounds of a message, long paths included. */
function inMessages(files: readonly FileInfo[]): FileInfo[][] {
  const messages: FileInfo[][] = [];
  let current: FileInfo[] = [];
  let bytes = 0;
  for (const file of files) {
    const size = Buffer.byteLength(file.path);
    if (current.length === MAX_FILES_PER_MESSAGE || (current.length > 0 && bytes + size > MAX_CHUNK_BYTES)) {
      messages.push(current);
      current = [];
      bytes = 0;
    }
    current.push(file);
    bytes += size;
  }
  if (current.length > 0) messages.push(current);
  return messages;
}

function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\0");
}

function fileInfoOf(path: string, { mode, modifiedAt, size, type }: ToolFileInfo): FileInfo {
  return { path, type, size, mode, modifiedAt };
}

function pieceOf({ data, end, mode, offset, path, writeId }: WriteFileRequest): Piece {
  if (!EXEC_ID_PATTERN.test(writeId)) throw invalidArgument("write_id", "1 to 64 of A-Z a-z 0-9 _ - are allowed");
  mustBeWithin("offset", offset, 0, Number.MAX_SAFE_INTEGER - MAX_CHUNK_BYTES);
  if (data.length > MAX_CHUNK_BYTES) throw invalidArgument("data", `is larger than ${MAX_CHUNK_BYTES} bytes`);
  if (mode !== undefined) mustBeWithin("mode", mode, 0, MAX_MODE);
  return { writeId, path: pathOf(path), offset, data, end, mode: mode ?? DEFAULT_MODE };
}

/** An absolute path within bounds. */
function pathOf(path: string): string {
  if (path === "") throw invalidArgument("path", "is empty");
  if (!path.startsWith("/")) throw invalidArgument("path", "is not absolute", `begin it with "/"`);
  if (path.includes("\0")) throw invalidArgument("path", "holds a NUL");
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw invalidArgument("path", `is longer than ${MAX_PATH_BYTES} bytes`);
  return path;
}

function flag(value: boolean): string {
  return value ? "1" : "0";
}
