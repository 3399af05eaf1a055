// An HTTP/1.1 listener: TCP, or a socket that somebody else made. Slow and malformed callers are turned away here.
import type { ServerOptions, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Server as NetServer, Socket } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Hono } from "hono";
import { requestIdOf } from "../call-entry.ts";
import { AppError } from "../errors.ts";
import {
  CHECK_EVERY_MS,
  HEAD_DEADLINE_MS,
  KEEP_ALIVE_MS,
  MAX_CONNECTIONS,
  MAX_HEAD_BYTES,
  MAX_HEADERS,
} from "./limits.ts";
import { HttpRefusal, problemOf, problemResponse } from "./problem.ts";
import type { RestOptions } from "./rest.ts";
import { restApp } from "./rest.ts";

/** Where to listen. */
export type HttpListen =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "accepted"; readonly listener: NetServer };

export interface HttpServerOptions extends RestOptions {
  readonly listen: HttpListen;
  /** How long calls in flight may take to end when the server is disposed of. 2,000 ms when unset. */
  readonly drainMs?: number;
}

/** A running listener. Disposal stops taking calls, lets those in flight end within `drainMs`, then cuts them. */
export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

const SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: MAX_HEAD_BYTES,
  headersTimeout: HEAD_DEADLINE_MS,
  // A file may take as long as it takes; body.ts bounds every body by its kind.
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: CHECK_EVERY_MS,
  // A request that two parsers may read in two ways is nobody's.
  insecureHTTPParser: false,
  // Refused where it can be told by a problem.
  requireHostHeader: false,
};

/** Starts listening. Rejects when the address cannot be had. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app: Hono<never> = restApp(options) as unknown as Hono<never>;
  const listener = getRequestListener((request, env) => app.fetch(request, env as never), {
    overrideGlobalObjects: false,
    errorHandler: (error) => problemResponse(asRefusal(error), requestIdOf(undefined)),
  });
  const answering = new WeakMap<Socket, ServerResponse>();
  const server = createServer(SERVER_OPTIONS, (incoming, outgoing) => {
    answering.set(incoming.socket, outgoing);
    void listener(incoming, outgoing);
  });
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const answer = answering.get(socket);
    // Within an answer a refusal would be read as a part of it.
    if (answer?.headersSent === true && !answer.writableFinished) socket.destroy();
    else turnAway(error, socket);
  });
  await new Promise<void>((resolve, reject) => {
    const { listen } = options;
    server.once("error", (cause) => reject(new Error("cannot listen for HTTP", { cause })));
    if (listen.kind === "tcp") server.listen({ host: listen.host, port: listen.port }, resolve);
    else server.listen(listen.listener, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("an HTTP listener has no port");
  const drainMs = options.drainMs ?? 2_000;
  let stopped: Promise<void> | undefined;
  return {
    port: address.port,
    [Symbol.asyncDispose]() {
      stopped ??= new Promise<void>((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), drainMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      });
      return stopped;
    },
  };
}

function asRefusal(error: unknown): unknown {
  return error instanceof RequestError
    ? new AppError("InvalidArgument", "the request's target or host is malformed")
    : error;
}

/** What node:http cannot read gets a problem, and its connection ends: nobody knows where the next request begins. */
function turnAway(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const problem = problemOf(parserRefusal(error.code), requestIdOf(undefined));
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function parserRefusal(code: string | undefined): HttpRefusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new HttpRefusal(431, "InvalidArgument", `the head has more than ${MAX_HEAD_BYTES} bytes`);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new HttpRefusal(408, "DeadlineExceeded", "the head did not come in time");
    default:
      return new HttpRefusal(400, "InvalidArgument", "this is no HTTP/1.1 request");
  }
}
