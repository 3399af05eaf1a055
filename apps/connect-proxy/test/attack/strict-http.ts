// An independent, strict reader of HTTP/1.1 as bytes: what the proxy wrote, to an app or to a client, must please it.
// It shares no line with the proxy, takes only the plainest spelling of RFC 9112, and says why it stops.

/** One message with its framing read. */
export interface ReadMessage {
  readonly startLine: string;
  /** As they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** Of head and body with all framing. */
  readonly totalBytes: number;
}

/** What a stream of messages holds. */
export interface ReadStream {
  readonly messages: readonly ReadMessage[];
  /** Why nothing more can be read: the stream breaks a rule. Undefined where it ends, or breaks off in a message. */
  readonly problem: string | undefined;
  /** Bytes after the last whole message: the start of another, or what the problem is about. */
  readonly rest: Buffer;
}

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] [1-5][0-9][0-9] [\t\x20-\x7e\x80-\xff]*$/;
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;
const CHUNK_LINE = /^[0-9a-fA-F]{1,8}$/;
const DIGITS = /^[0-9]{1,15}$/;

class Problem extends Error {}

/** Requests, one after the other. */
export function readRequests(bytes: Buffer): ReadStream {
  return readAll(bytes, (message) => {
    if (!REQUEST_LINE.test(message.startLine)) throw new Problem(`request line ${JSON.stringify(message.startLine)}`);
    return framingOf(message, "none");
  });
}

/**
 * Answers to requests of these methods, in their order; informational ones stand between and count as messages too. `ended`:
 * the peer has closed its half, which ends a body that has no length.
 */
export function readAnswers(bytes: Buffer, methods: readonly string[], ended: boolean): ReadStream {
  let answered = 0;
  return readAll(bytes, (message) => {
    if (!STATUS_LINE.test(message.startLine)) throw new Problem(`status line ${JSON.stringify(message.startLine)}`);
    const status = statusOf(message);
    if (answered >= methods.length && status !== 408 && status !== 400) throw new Problem("an answer to no request");
    if (status < 200 && status !== 101) return { kind: "none" };
    const method = methods[answered];
    answered += 1;
    if (method === "HEAD" || status === 204 || status === 304) return { kind: "none" };
    if (status === 101) return { kind: "rest" };
    return framingOf(message, ended ? "rest" : "unfinished");
  });
}

/** Status of an answer; 0 if its line is none. */
export function statusOf(message: ReadMessage): number {
  return Number(/^HTTP\/1\.[01] ([0-9]{3})/.exec(message.startLine)?.[1] ?? 0);
}

/** Target of a request. */
export function targetOf(message: ReadMessage): string {
  return message.startLine.split(" ")[1] ?? "";
}

/** Values of a header, by its name in any case. */
export function valuesOf(message: ReadMessage, name: string): readonly string[] {
  return message.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

type Framing =
  | { readonly kind: "none" | "chunked" | "rest" | "unfinished" }
  | { readonly kind: "length"; readonly length: number };

function framingOf(message: ReadMessage, otherwise: "none" | "rest" | "unfinished"): Framing {
  const lengths = valuesOf(message, "content-length");
  const codings = valuesOf(message, "transfer-encoding");
  if (codings.length > 0) {
    if (lengths.length > 0) throw new Problem("Transfer-Encoding beside Content-Length");
    if (codings.length > 1 || codings[0]?.toLowerCase() !== "chunked") throw new Problem(`codings ${codings.join()}`);
    if (message.startLine.includes("HTTP/1.0")) throw new Problem("Transfer-Encoding in HTTP/1.0");
    return { kind: "chunked" };
  }
  if (lengths.length > 1 || (lengths[0] !== undefined && !DIGITS.test(lengths[0]))) {
    throw new Problem(`lengths ${lengths.join()}`);
  }
  return lengths[0] === undefined ? { kind: otherwise } : { kind: "length", length: Number(lengths[0]) };
}

function readAll(bytes: Buffer, frame: (head: ReadMessage) => Framing): ReadStream {
  const messages: ReadMessage[] = [];
  let at = 0;
  const result = (problem?: string): ReadStream => ({ messages, problem, rest: bytes.subarray(at) });
  try {
    while (at < bytes.length) {
      const head = readHead(bytes, at);
      if (head === undefined) return result();
      const framing = frame(head.message);
      const body = readBody(bytes, head.next, framing);
      if (body === undefined) return result();
      const { next, ...content } = body;
      messages.push({ ...head.message, ...content, totalBytes: next - at });
      at = next;
    }
    return result();
  } catch (error) {
    if (error instanceof Problem) return result(error.message);
    throw error;
  }
}

function readHead(bytes: Buffer, from: number): { message: ReadMessage; next: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n", from);
  if (end < 0) {
    const line = bytes.subarray(from);
    if (line[0] === 0x0a || line[0] === 0x0d || line.includes("\n\n")) throw new Problem("an empty line");
    return undefined;
  }
  const [startLine = "", ...lines] = bytes.toString("latin1", from, end).split("\r\n");
  const headers = lines.map(fieldOf);
  const next = end + 4;
  return { message: { startLine, headers, body: Buffer.alloc(0), trailers: [], totalBytes: next - from }, next };
}

function fieldOf(line: string): readonly [string, string] {
  const match = FIELD_LINE.exec(line);
  if (match === null) throw new Problem(`field line ${JSON.stringify(line.slice(0, 200))}`);
  return [match[1] ?? "", match[2] ?? ""];
}

type ReadBody = Pick<ReadMessage, "body" | "trailers"> & { readonly next: number };

function readBody(bytes: Buffer, from: number, framing: Framing): ReadBody | undefined {
  if (framing.kind === "chunked") return readChunks(bytes, from);
  if (framing.kind === "unfinished") return undefined;
  const length = framing.kind === "length" ? framing.length : framing.kind === "rest" ? bytes.length - from : 0;
  if (bytes.length - from < length) return undefined;
  return { body: bytes.subarray(from, from + length), trailers: [], next: from + length };
}

function readChunks(bytes: Buffer, from: number): ReadBody | undefined {
  const parts: Buffer[] = [];
  let at = from;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = bytes.toString("latin1", at, end);
    if (!CHUNK_LINE.test(line)) throw new Problem(`chunk line ${JSON.stringify(line.slice(0, 100))}`);
    const size = Number.parseInt(line, 16);
    at = end + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return undefined;
    if (bytes.toString("latin1", at + size, at + size + 2) !== "\r\n") throw new Problem("no line end after a chunk");
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  const trailers: (readonly [string, string])[] = [];
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = bytes.toString("latin1", at, end);
    at = end + 2;
    if (line === "") return { body: Buffer.concat(parts), trailers, next: at };
    trailers.push(fieldOf(line));
  }
}
