// Bytes over HTTP as they are, not as base64 in JSON: an output or a file read, a file written whole. Each is the same
// call of SandboxIO as its JSON route, or a row of them.
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { AppError, invalidArgument, schemaRefusal } from "@sallyport/appkit/errors";
import type { RawRoute, RestCall } from "@sallyport/appkit/http";
import { commonHeaders, mustBeOfType, sendBytes, streamBody } from "@sallyport/appkit/http";
import {
  MAX_CHUNK_BYTES,
  ReadFileRequest,
  ReadFileResponse,
  ReadOutputRequest,
  ReadOutputResponse,
  WriteFileRequest,
  WriteFileResponse,
} from "@sallyport/contracts";
import { methodSchema, paramsToJson, requestFromJson, SchemaError } from "@sallyport/contracts/json";

const OCTETS = "application/octet-stream";
/** Where in the output or file the first byte of the answer is. */
const OFFSET_HEADER = "Sallyport-Offset";

const READ_OUTPUT = "/sallyport.v1.SandboxIO/ReadOutput";
const READ_FILE = "/sallyport.v1.SandboxIO/ReadFile";
const WRITE_FILE = "/sallyport.v1.SandboxIO/WriteFile";

export const RAW_ROUTES: readonly RawRoute[] = [
  { verb: "GET", path: "/v1/processes/{exec_id}/output", matches: wantsOctets, handle: readOutput },
  { verb: "GET", path: "/v1/files/content", matches: wantsOctets, handle: readFile },
  { verb: "PUT", path: "/v1/files", matches: () => true, handle: writeFile },
];

function wantsOctets({ headers }: IncomingMessage): boolean {
  const types = (headers.accept ?? "").split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  return types.includes(OCTETS);
}

async function readOutput(call: RestCall): Promise<undefined> {
  let offset = 0;
  const messages = call.direct(READ_OUTPUT, () => {
    const request = requestOf(READ_OUTPUT, call);
    offset = ReadOutputRequest.decode(request).offset;
    return request;
  });
  await sendFirst(call, messages, {
    startOf(bytes) {
      const { event } = ReadOutputResponse.decode(bytes);
      return event?.$case === "gap" ? event.value.offset : offset;
    },
    dataOf(bytes, isFirst) {
      const { event } = ReadOutputResponse.decode(bytes);
      // What is lost cannot be told in the midst of bytes.
      if (event?.$case === "gap" && !isFirst) throw new AppError("ResourceExhausted", "output is no longer kept");
      return event?.$case === "chunk" ? event.value.data : undefined;
    },
  });
}

async function readFile(call: RestCall): Promise<undefined> {
  let offset = 0;
  const messages = call.direct(READ_FILE, () => {
    const request = requestOf(READ_FILE, call);
    offset = ReadFileRequest.decode(request).offset;
    return request;
  });
  await sendFirst(call, messages, {
    startOf: () => offset,
    dataOf(bytes) {
      const { event } = ReadFileResponse.decode(bytes);
      return event?.$case === "data" ? event.value : undefined;
    },
  });
}

interface Reading {
  startOf(first: Uint8Array): number;
  dataOf(message: Uint8Array, isFirst: boolean): Uint8Array | undefined;
}

/** Answers once the first message is there, so that what is refused is refused by its status. */
async function sendFirst(
  call: RestCall,
  messages: AsyncGenerator<Uint8Array, void, undefined>,
  reading: Reading,
): Promise<void> {
  const first = await messages.next();
  const start = first.done === true ? 0 : reading.startOf(first.value);
  const chunks = (async function* () {
    try {
      let isFirst = true;
      for (let next = first; next.done !== true; next = await messages.next()) {
        const data = reading.dataOf(next.value, isFirst);
        isFirst = false;
        if (data !== undefined) yield data;
      }
    } finally {
      await messages.return();
    }
  })();
  const { outgoing, requestId, signal } = call;
  const headers = { ...commonHeaders(requestId), [OFFSET_HEADER]: String(start) };
  await sendBytes({ outgoing, requestId, signal, headers }, chunks);
}

/** Writes the body to a file, in pieces; the file takes its place with the last, and not at all when the body breaks off. */
async function writeFile(call: RestCall): Promise<Response> {
  const base = () => {
    const request = WriteFileRequest.decode(requestOf(WRITE_FILE, call));
    if (request.writeId !== "" || request.offset !== 0 || request.end || request.data.length > 0) {
      throw invalidArgument("query", "only path and mode are for a file that is sent whole");
    }
    mustBeOfType(call.incoming, OCTETS);
    return request;
  };
  const writeId = randomUUID();
  let offset = 0;
  const write = async (data: Buffer, end: boolean): Promise<void> => {
    const request = () => WriteFileRequest.encode({ ...base(), writeId, offset, data, end }).finish();
    for await (const bytes of call.direct(WRITE_FILE, request)) {
      const { acceptedOffset } = WriteFileResponse.decode(bytes);
      if (acceptedOffset !== offset + data.length) throw new AppError("Internal", "a piece was not written whole");
    }
    offset += data.length;
  };
  // The first piece is empty: whoever may not write here is refused before the body is read.
  await write(Buffer.alloc(0), false);
  for await (const piece of piecesOf(streamBody(call.incoming, call.signal))) await write(piece, false);
  await write(Buffer.alloc(0), true);
  return Response.json({ acceptedOffset: String(offset) }, { headers: commonHeaders(call.requestId) });
}

/** The same bytes in pieces that one message can carry. */
async function* piecesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < MAX_CHUNK_BYTES) continue;
    const whole = Buffer.concat(held);
    let from = 0;
    for (; whole.length - from >= MAX_CHUNK_BYTES; from += MAX_CHUNK_BYTES) {
      yield whole.subarray(from, from + MAX_CHUNK_BYTES);
    }
    held = [whole.subarray(from)];
    bytes = whole.length - from;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** The request that path and query make. Throws InvalidArgument that names the parameter. */
function requestOf(method: string, call: RestCall): Uint8Array {
  const { input } = methodSchema(method);
  try {
    return requestFromJson(input, { params: paramsToJson(input, [...Object.entries(call.path), ...call.query]) });
  } catch (error) {
    throw error instanceof SchemaError ? schemaRefusal(error.fault) : error;
  }
}
