// Sending on a stream that may be gone at any moment: what Node throws there would end the process, and with it everybody
// else's connections.
import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from "node:http2";
import { constants } from "node:http2";
import type { RawHeader } from "@sallyport/connect-token/verify";
import { isFieldValue } from "../head/characters.ts";

const { NGHTTP2_NO_ERROR } = constants;

/** Whether something can still be sent. */
export function isOpen(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed;
}

/** Sends the head of an answer. False: nobody is there to get it, or it cannot be said in HTTP/2; the stream is reset then. */
export function sendHead(
  stream: ServerHttp2Stream,
  status: number,
  headers: readonly RawHeader[],
  options: ServerStreamResponseOptions,
): boolean {
  return attempt(stream, () => {
    if (stream.headersSent) throw new TypeError("the head is sent already");
    stream.respond(flat(status, headers), options);
  });
}

/** Sends an interim answer, before the head. */
export function sendInformation(stream: ServerHttp2Stream, status: number, headers: readonly RawHeader[]): boolean {
  return attempt(stream, () => {
    if (!stream.headersSent) stream.additionalHeaders({ ":status": status, ...byName(headers) });
  });
}

/** Ends a stream whose answer waits for its trailers. */
export function sendTrailers(stream: ServerHttp2Stream, trailers: readonly RawHeader[]): boolean {
  return attempt(stream, () => stream.sendTrailers(byName(trailers)));
}

/**
 * Breaks off: the client must not take what it has for a whole answer. Not by `close`, which ends the answer in good order
 * before it resets the stream.
 */
export function cut(stream: ServerHttp2Stream): void {
  stream.destroy(new Error("the exchange is broken off"));
}

/** The answer is whole; what the client still sends is not wanted (RFC 9113, section 8.1). */
export function stopRequest(stream: ServerHttp2Stream): void {
  attempt(stream, () => stream.close(NGHTTP2_NO_ERROR));
}

function attempt(stream: ServerHttp2Stream, send: () => void): boolean {
  if (!isOpen(stream)) return false;
  try {
    send();
    return true;
  } catch {
    cut(stream);
    return false;
  }
}

/** Names and values in turns, names in lower case as the library writes them. A value with a null would be two headers to it. */
function flat(status: number, headers: readonly RawHeader[]): string[] {
  const list = [":status", String(status)];
  for (const [name, value] of headers) {
    checkValue(name, value);
    list.push(name, value);
  }
  return list;
}

function byName(headers: readonly RawHeader[]): OutgoingHttpHeaders {
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) {
    checkValue(name, value);
    const lower = name.toLowerCase();
    const known = values.get(lower);
    if (known === undefined) values.set(lower, [value]);
    else known.push(value);
  }
  return Object.fromEntries(values);
}

function checkValue(name: string, value: string): void {
  if (!isFieldValue(value)) throw new TypeError(`the value of ${name} holds a control character`);
}
