// What the scanner accepts and the proxy writes anew is the same message to the parser of node:http, which most apps have.
import type { IncomingMessage } from "node:http";
import { createServer, METHODS } from "node:http";
import { duplexPair } from "node:stream";
import fc from "fast-check";
import { expect, it } from "vitest";
import { BadMessage } from "../bad-message.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import type { RequestHead } from "./request-head.ts";
import { scanRequestHead } from "./request-head.ts";
import { hasContent, writeRequestHead } from "./write-head.ts";

const HOST = "sb-01jz0000000000000000000001.localhost";

interface Read {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly rawHeaders: readonly string[];
}

/** What node:http makes of these bytes. */
async function readByNode(text: string): Promise<Read | string> {
  const read = Promise.withResolvers<Read | string>();
  const server = createServer({ insecureHTTPParser: false, maxHeaderSize: 65_536 }, (request: IncomingMessage) => {
    const { method, rawHeaders, url } = request;
    read.resolve({ method, url, rawHeaders });
    request.resume();
  });
  server.on("upgrade", ({ method, rawHeaders, url }: IncomingMessage) => read.resolve({ method, url, rawHeaders }));
  server.on("clientError", (error: Error) => read.resolve(error.message));
  const [near, far] = duplexPair();
  server.emit("connection", far);
  near.on("error", () => undefined);
  near.write(Buffer.from(text, "latin1"));
  const result = await read.promise;
  near.destroy();
  far.destroy();
  return result;
}

const token = fc.string({
  unit: fc.constantFrom(..."abcXYZ019-_.!#$%&'*+^`|~".split("")),
  minLength: 1,
  maxLength: 12,
});
const value = fc.string({ unit: fc.constantFrom(..."abc 019,;=\"'()\t\xe9\xff\x80:/?{}".split("")), maxLength: 24 });
const special = fc.constantFrom(
  "Content-Length: 0",
  "Content-Length: 12",
  "Transfer-Encoding: chunked",
  "transfer-encoding: Chunked",
  "Connection: keep-alive",
  "Connection: close, X-A",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Expect: 100-continue",
  "TE: trailers",
  "Keep-Alive: timeout=3",
  "Content_Length: 5",
  "X-A: b",
  "Host: other",
);
const field = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(token, value).map(([name, text]) => `${name}:${text}`) },
  { weight: 2, arbitrary: special },
);
const target = fc.string({ unit: fc.constantFrom(..."/ab?&=%2F.;:@!$'()*+,~|^\\\"<>[]{}`".split("")), maxLength: 20 });
const request = fc.record({
  method: fc.constantFrom(...METHODS.filter((method) => method !== "CONNECT"), "BREW", "G-T"),
  target: target.map((text) => `/${text}`),
  version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0"),
  fields: fc.array(field, { maxLength: 8 }),
});

function scanned(text: string): RequestHead | undefined {
  try {
    return scanRequestHead(text, DEFAULT_LIMITS);
  } catch (error) {
    if (error instanceof BadMessage) return undefined;
    throw error;
  }
}

it("reads as the same message", { timeout: 60_000 }, async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(request, async ({ fields, method, target: url, version }) => {
      const head = scanned(
        `${method} ${url} ${version}\r\nHost: ${HOST}\r\n${fields.join("\r\n")}${fields.length > 0 ? "\r\n" : ""}\r\n`,
      );
      if (head === undefined) return;
      const written = writeRequestHead({ ...head, headers: head.endToEnd }, head.framing, false);
      const read = await readByNode(written);
      if (!METHODS.includes(method)) return; // node:http knows no others
      accepted += 1;
      const framing: Readonly<Record<string, readonly string[]>> = {
        none: [],
        chunked: ["Transfer-Encoding", "chunked"],
        length: ["Content-Length", String(head.framing.kind === "length" ? head.framing.length : "")],
      };
      const close = hasContent(head.framing) ? ["Connection", "close"] : [];
      const rawHeaders = [...head.endToEnd.flat(), ...(framing[head.framing.kind] ?? []), ...close];
      expect(read).toEqual({ method, url, rawHeaders });
    }),
    { numRuns: 600 },
  );
  expect(accepted).toBeGreaterThan(100);
});
