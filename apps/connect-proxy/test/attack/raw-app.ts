// The app in a sandbox, as bytes: records what it got on each connection, and answers what its program says.
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { ReadMessage } from "./strict-http.ts";
import { readRequests, targetOf } from "./strict-http.ts";

/** A connection as the app sees it. */
export interface AppConnection {
  readonly socket: Socket;
  /** All that came. */
  received(): Buffer;
  /** Whole messages. */
  readonly messages: readonly ReadMessage[];
  /** What a strict reader says of the bytes. */
  readonly problem: string | undefined;
  /** The peer has closed its half, or all of it. */
  readonly ended: boolean;
}

/** Answers one request, or does something nasty. */
export type Program = (request: ReadMessage, connection: AppConnection, app: RawApp) => void;

/** The answer of an app that means well: its mark, the ordinal of the request, what was asked, and a checksum. */
export function plainAnswer(app: RawApp, request: ReadMessage): string {
  const digest = createHash("sha256").update(request.body).digest("hex").slice(0, 16);
  const body = `${app.mark} ${app.requests.length} ${targetOf(request)} ${request.body.length} ${digest}\n`;
  const length = `Content-Length: ${body.length}`;
  return `HTTP/1.1 200 OK\r\nX-App: ${app.mark}\r\n${length}\r\n\r\n${request.startLine.startsWith("HEAD ") ? "" : body}`;
}

/** Listens at a free port of the loopback. */
export class RawApp implements AsyncDisposable {
  readonly mark: string;
  readonly connections: AppConnection[] = [];
  /** Whole requests of all connections, in the order in which they came to their ends. */
  readonly requests: ReadMessage[] = [];
  /** What requests get. */
  program: Program = (request, connection, app) => connection.socket.write(plainAnswer(app, request), "latin1");
  /** Called for each new connection, before a byte of it is read. */
  onConnection: (connection: AppConnection) => void = () => {};
  readonly #server: Server;

  private constructor(mark: string, server: Server) {
    this.mark = mark;
    this.#server = server;
  }

  static async start(mark: string): Promise<RawApp> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const app = new RawApp(mark, server);
    server.on("connection", (socket) => app.#accept(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return app;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Targets of the whole requests, in order. */
  get targets(): string[] {
    return this.requests.map(targetOf);
  }

  /** All bytes of all connections. */
  received(): Buffer {
    return Buffer.concat(this.connections.map((connection) => connection.received()));
  }

  /** Why a strict reader would have stopped, of each connection where it would. */
  get problems(): string[] {
    return this.connections.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
  }

  /** Forgets the requests so far; connections stay, and what is wrong with them. */
  forget(): void {
    this.requests.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(socket: Socket): void {
    const parts: Buffer[] = [];
    const messages: ReadMessage[] = [];
    let rest = Buffer.alloc(0);
    const connection = {
      socket,
      messages,
      problem: undefined as string | undefined,
      ended: false,
      received: () => Buffer.concat(parts),
    };
    this.connections.push(connection);
    socket.on("error", () => {
      connection.ended = true;
    });
    socket.on("close", () => {
      connection.ended = true;
    });
    socket.on("end", () => {
      connection.ended = true;
      socket.end();
    });
    socket.on("data", (data: Buffer) => {
      parts.push(data);
      if (connection.problem !== undefined) return;
      const read = readRequests(Buffer.concat([rest, data]));
      rest = Buffer.from(read.rest);
      connection.problem = read.problem;
      for (const message of read.messages) {
        messages.push(message);
        this.requests.push(message);
        this.program(message, connection, this);
      }
    });
    this.onConnection(connection);
  }
}
