// Bodies of requests: bounded in size and time, and of the one kind that a route takes.
import type { IncomingMessage } from "node:http";
import { AppError } from "../errors.ts";
import { BODY_DEADLINE_MS, BODY_IDLE_MS, MAX_JSON_BYTES } from "./limits.ts";
import { HttpRefusal } from "./problem.ts";

/** Whether a request carries a body, be it an empty one in chunks. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
}

/** Refuses a body of another kind with 415, and one that is compressed. */
export function mustBeOfType(incoming: IncomingMessage, type: string): void {
  const given = incoming.headers["content-type"] ?? "";
  const [name = "", ...parameters] = given.split(";").map((part) => part.trim().toLowerCase());
  const isUtf8 = parameters.every(
    (parameter) => /^charset="?utf-8"?$/.test(parameter) || !parameter.startsWith("charset="),
  );
  const coding = incoming.headers["content-encoding"] ?? "identity";
  if (name === type && isUtf8 && coding === "identity") return;
  throw new HttpRefusal(415, "InvalidArgument", `the body must be ${type}, not compressed`, { Accept: type });
}

/** A JSON body as text; undefined when there is none. */
export async function readJsonText(incoming: IncomingMessage, signal: AbortSignal): Promise<string | undefined> {
  if (!hasBody(incoming)) return undefined;
  mustBeOfType(incoming, "application/json");
  if (Number(incoming.headers["content-length"] ?? 0) > MAX_JSON_BYTES) throw tooLarge();
  const late = AbortSignal.timeout(BODY_DEADLINE_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of chunksOf(incoming, AbortSignal.any([signal, late]))) {
      bytes += chunk.length;
      if (bytes > MAX_JSON_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (late.aborted) throw tooSlow();
    throw error;
  }
  if (bytes === 0) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new AppError("InvalidArgument", "the body is no UTF-8");
  }
}

/** A body as it comes, of any length: it may stand still for a while, not for long. */
export async function* streamBody(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(tooSlow()), BODY_IDLE_MS);
  try {
    for await (const chunk of chunksOf(incoming, AbortSignal.any([signal, idle.signal]))) {
      yield chunk;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Like the stream's own iterator, but the stream outlives it: an answer is still to be sent on its connection. */
async function* chunksOf(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const iterator = incoming.iterator({ destroyOnReturn: false });
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(reasonOf(signal)), { once: true });
  });
  aborted.catch(ignoreWhenWhole);
  try {
    signal.throwIfAborted();
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) return;
      yield next.value as Buffer;
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("Cancelled", "the body ended early", { cause: error });
  }
}

function ignoreWhenWhole(): void {
  // An abort after the body was read is the handler's to notice.
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new AppError("Cancelled", "the caller went away");
}

function tooLarge(): HttpRefusal {
  return new HttpRefusal(413, "InvalidArgument", `the body must have at most ${MAX_JSON_BYTES} bytes`);
}

function tooSlow(): HttpRefusal {
  return new HttpRefusal(408, "DeadlineExceeded", "the body did not come in time", { Connection: "close" });
}
