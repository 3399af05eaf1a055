// Streams to HTTP callers, written as fast as they are read: server-sent events, or bytes as they are.
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { JsonObject } from "@sallyport/contracts/json";
import { HEARTBEAT_MS } from "./limits.ts";
import { problemOf } from "./problem.ts";

/** One server-sent event. */
export interface ServerEvent {
  readonly name: string;
  /** Where reading may go on after this event. */
  readonly id: string | undefined;
  readonly data: JsonObject;
}

export interface StreamTarget {
  readonly outgoing: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/** Sends events until their source ends. A source that fails is told in a last event, "error", whose data is a problem. */
export async function sendEvents(target: StreamTarget, events: AsyncIterable<ServerEvent>): Promise<void> {
  const { outgoing, requestId, signal } = target;
  outgoing.writeHead(200, { ...target.headers, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
  outgoing.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!outgoing.writableNeedDrain) outgoing.write(":\n\n");
  }, HEARTBEAT_MS);
  try {
    for await (const event of events) await write(outgoing, textOf(event), signal);
  } catch (error) {
    if (!signal.aborted) {
      outgoing.write(textOf({ name: "error", id: undefined, data: { ...problemOf(error, requestId) } as JsonObject }));
    }
  } finally {
    clearInterval(heartbeat);
    outgoing.end();
  }
}

/**
 * Sends bytes until their source ends. A source that fails cuts the connection: an answer in chunks that lacks its last
 * one cannot be taken for a whole one.
 */
export async function sendBytes(target: StreamTarget, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const { outgoing, signal } = target;
  outgoing.writeHead(200, { ...target.headers, "Content-Type": "application/octet-stream" });
  outgoing.flushHeaders();
  try {
    for await (const chunk of chunks) await write(outgoing, chunk, signal);
    outgoing.end();
  } catch {
    outgoing.destroy(); // the failed call has its line in the log
  }
}

async function write(outgoing: ServerResponse, data: string | Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!outgoing.write(data)) await once(outgoing, "drain", { signal });
}

function textOf({ name, id, data }: ServerEvent): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
