// An HTTPS and WebSocket server that tells what it was sent: what a client really does, seen from the other end.
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { HostCertificate } from "./certificates.ts";

/** RFC 6455, section 1.3. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A request as it arrived. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/**
 * Listens on a free port of both loopbacks. Answers every request with {@link SeenRequest} as JSON, but: `/redirect?to=URL`
 * redirects there (307, or as `status` says), `/round` to itself, `/slow` never ends its body, `/status/N` answers so. Every WebSocket gets the first protocol that
 * it asks for, the target and headers of its handshake as first message, and what it sends back; one to `/deaf`
 * is never closed.
 */
export class EchoServer implements AsyncDisposable {
  /** Of all requests and handshakes, in order. */
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #upgraded = new Set<Duplex>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response));
    server.on("upgrade", (request: IncomingMessage, socket: Duplex) => this.#upgrade(request, socket));
  }

  static async start(certificate: HostCertificate): Promise<EchoServer> {
    const server = createServer({ ...certificate });
    server.listen(0, "::");
    await once(server, "listening");
    return new EchoServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** WebSockets that are open. */
  get upgraded(): number {
    return this.#upgraded.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#upgraded) socket.destroy();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = this.#note(request, (await buffer(request)).toString());
    const { pathname, searchParams } = new URL(seen.target, "https://host");
    const to = searchParams.get("to");
    if (to !== null) response.writeHead(Number(searchParams.get("status") ?? 307), { location: to }).end();
    else if (pathname === "/round") response.writeHead(302, { location: "/round" }).end();
    else if (pathname === "/slow") response.writeHead(200).write("begun");
    else if (pathname.startsWith("/status/")) response.writeHead(Number(pathname.slice(8))).end();
    else
      response.writeHead(
        200,
        [
          ["content-type", "application/json"],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ].flat(),
      );
    if (!response.writableEnded && pathname !== "/slow") response.end(JSON.stringify(seen));
  }

  #note({ method = "", url = "", headers }: IncomingMessage, body: string): SeenRequest {
    const seen = { method, target: url, headers, body };
    this.seen.push(seen);
    return seen;
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    const seen = this.#note(request, "");
    this.#upgraded.add(socket);
    socket.on("close", () => this.#upgraded.delete(socket));
    socket.on("error", () => socket.destroy());
    const key = String(request.headers["sec-websocket-key"]);
    const accept = createHash("sha1").update(`${key}${WEBSOCKET_GUID}`).digest("base64");
    const [protocol = ""] = String(request.headers["sec-websocket-protocol"] ?? "").split(",");
    const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    lines.push(`Sec-WebSocket-Accept: ${accept}`, ...(protocol === "" ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]));
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.write(frame(1, Buffer.from(JSON.stringify(seen))));
    let rest = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let one = readFrame(rest); one !== undefined; one = readFrame(rest)) {
        rest = rest.subarray(one.length);
        if (one.opcode === 8 && seen.target === "/deaf") return;
        socket.write(frame(one.opcode, one.payload));
        if (one.opcode === 8) socket.end();
      }
    });
  }
}

/** A whole frame of a server: not masked (RFC 6455, section 5.2). */
function frame(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

/** The first whole frame of a client, of at most 65,535 bytes; undefined while it is not there. */
function readFrame(data: Buffer): { opcode: number; payload: Buffer; length: number } | undefined {
  if (data.length < 6) return undefined;
  const short = data.readUInt8(1) & 0x7f;
  const at = short === 126 ? 4 : 2;
  const size = short === 126 ? data.readUInt16BE(2) : short;
  const length = at + 4 + size;
  if (data.length < length) return undefined;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  return { opcode: data.readUInt8(0) & 0x0f, payload, length };
}
