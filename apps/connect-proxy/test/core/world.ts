// The core alone, over plain TCP: rules that let everyone in, a gateway's door, and apps of the test's own.

import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { TableChange } from "@sallyport/dataplane/routes";
import type { GatewayDoor } from "@sallyport/testkit/gateway-door";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { Deadlines } from "../../src/deadlines.ts";
import type { ExchangeEnd, GrantWatch, Route, Rules } from "../../src/exchange.ts";
import { answerLinesOf } from "../../src/head/write-head.ts";
import { Http1Front } from "../../src/http1.ts";
import type { CoreLimits } from "../../src/limits.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { Upstream } from "../../src/upstream/upstream.ts";

export const SANDBOX_ID = "sb-01jz0000000000000000000001";
export const INSTANCE_ID = "in-01jz0000000000000000000002";
export const HOST = `${SANDBOX_ID}.localhost`;
const PORT = 8_080;
const TICK_MS = 10;

/** What one connection of the app is given to do. */
export type App = (socket: Socket) => void;

export interface WorldOptions {
  readonly app: App;
  readonly limits?: Partial<CoreLimits>;
  readonly rules?: Partial<Rules>;
  readonly keepWebSockets?: boolean;
  /** Of every grant. */
  readonly expiresAtMs?: number;
}

export class World implements AsyncDisposable {
  readonly front: Http1Front;
  readonly upstream: Upstream;
  readonly door: GatewayDoor;
  readonly ends: ExchangeEnd[] = [];
  readonly appPort: number;
  /** Connections of the app. */
  readonly appSockets: Socket[] = [];
  route: Route;
  grantProblem: string | undefined;
  readonly #listeners = new Set<(change: TableChange) => void>();
  readonly #port: number;
  readonly #stack = new AsyncDisposableStack();
  readonly #onEnd = new Set<() => void>();

  private constructor(options: WorldOptions, door: GatewayDoor, server: Server, appServer: Server) {
    this.door = door;
    this.appPort = (appServer.address() as AddressInfo).port;
    this.#port = (server.address() as AddressInfo).port;
    this.route = {
      sandboxId: SANDBOX_ID,
      workspaceId: "ws-1",
      instanceId: INSTANCE_ID,
      state: "running",
      gateway: door.path,
      tokenEpoch: 0,
    };
    const limits = { ...DEFAULT_LIMITS, startRetryMs: 0, ...options.limits };
    const deadlines = this.#stack.use(new Deadlines(TICK_MS));
    const watch: GrantWatch = {
      grantProblem: ({ expiresAtMs }) => this.grantProblem ?? (expiresAtMs <= Date.now() ? "Expired" : undefined),
      currentRoute: () => this.route,
      onChange: (listener) => {
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
      },
    };
    this.upstream = this.#stack.use(new Upstream({ limits, deadlines, currentRoute: () => this.route }));
    this.front = this.#stack.use(
      new Http1Front({
        rules: { ...openRules(() => this.route, options.expiresAtMs), ...options.rules },
        upstream: this.upstream,
        limits,
        connectDomain: "localhost",
        deadlines,
        observe: (end) => {
          this.ends.push(end);
          for (const tell of this.#onEnd) tell();
        },
        watch,
        keepWebSockets: options.keepWebSockets,
      }),
    );
  }

  static async start(options: WorldOptions): Promise<World> {
    const door = await startGatewayDoor();
    const appServer = await listening(createServer({ allowHalfOpen: true, noDelay: true }));
    const server = await listening(createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }));
    const world = new World(options, door, server, appServer);
    world.#stack.use(door);
    world.#stack.defer(() => closed(appServer));
    world.#stack.defer(() => closed(server));
    appServer.on("connection", (socket) => {
      world.appSockets.push(socket);
      socket.on("error", () => socket.destroy());
      options.app(socket);
    });
    server.on("connection", (socket) => {
      const client = { peerAddress: "127.0.0.1", servername: HOST, transport: socket };
      world.front.serve(socket, client);
    });
    door.lead(INSTANCE_ID, PORT, { loopbackPort: world.appPort });
    return world;
  }

  /** Of a client. */
  async connect(): Promise<Peer> {
    const socket = connect({ port: this.#port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return new Peer(socket);
  }

  /** Says this on a connection of its own, closes its half, and gives all that came. */
  async say(text: string): Promise<string> {
    using peer = await this.connect();
    peer.socket.end(Buffer.from(text, "latin1"));
    await peer.ended;
    return peer.text;
  }

  /** Routes, revocations or keys have changed. */
  change(): void {
    for (const tell of this.#listeners) tell({ sandboxIds: new Set([SANDBOX_ID]), keysChanged: false });
  }

  /** When so many exchanges are over. */
  async over(count: number): Promise<void> {
    while (this.ends.length < count) {
      await new Promise<void>((resolve) => {
        this.#onEnd.add(resolve);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.front[Symbol.dispose]();
    for (const socket of this.appSockets) socket.destroy();
    await this.#stack.disposeAsync();
  }
}

/** A client as bytes. */
export class Peer implements Disposable {
  readonly socket: Socket;
  readonly ended: Promise<"end" | "reset">;
  #received: Buffer[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    const ended = Promise.withResolvers<"end" | "reset">();
    this.ended = ended.promise;
    socket.on("data", (data: Buffer) => {
      this.#received.push(data);
      for (const wake of this.#waiting) wake();
    });
    socket.on("end", () => ended.resolve("end"));
    socket.on("error", () => ended.resolve("reset"));
    socket.on("close", () => ended.resolve("reset"));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  get text(): string {
    return this.bytes.toString("latin1");
  }

  send(text: string | Buffer): void {
    this.socket.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** Resolves when this came; rejects when the connection ends first. */
  async until(part: string | ((text: string) => boolean)): Promise<string> {
    const holds = typeof part === "string" ? (text: string) => text.includes(part) : part;
    while (!holds(this.text)) {
      const woken = Promise.withResolvers<"woken">();
      this.#waiting.add(() => woken.resolve("woken"));
      const how = await Promise.race([woken.promise, this.ended]);
      if (how !== "woken" && !holds(this.text)) throw new Error(`${how} after ${JSON.stringify(this.text)}`);
    }
    return this.text;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A request's head, with `Host`. */
export function head(line: string, ...fields: string[]): string {
  return `${[`${line} HTTP/1.1`, `Host: ${HOST}`, ...fields].join("\r\n")}\r\n\r\n`;
}

/** An app that answers each head with this, whatever it is. */
export function answering(answer: string | ((request: string) => string)): App {
  return (socket) => {
    let text = "";
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const request = text.slice(0, end + 4);
        text = text.slice(end + 4);
        socket.write(typeof answer === "string" ? answer : answer(request), "latin1");
      }
    });
    socket.on("end", () => socket.end());
  };
}

/** So many bytes of plain text as an answer. */
export function ok(body: string, ...fields: string[]): string {
  return `${["HTTP/1.1 200 OK", `Content-Length: ${body.length}`, ...fields].join("\r\n")}\r\n\r\n${body}`;
}

function openRules(route: () => Route, expiresAtMs = Number.MAX_SAFE_INTEGER): Rules {
  const grant: ConnectGrant = {
    id: "ct-1",
    sandboxId: SANDBOX_ID,
    workspaceId: "ws-1",
    port: PORT,
    userData: undefined,
    epoch: 0,
    embed: false,
    issuedAtMs: 0,
    expiresAtMs,
    keyId: "k",
  };
  return {
    decide: (facts) => ({
      kind: "forward",
      grant,
      route: route(),
      target: facts.target,
      headers: facts.endToEnd,
      answer: UNUSED,
    }),
    answerHeaders: (_forward, _status, headers) => headers,
    answerLines: (_forward, head) => answerLinesOf(head.endToEnd),
    refuse: (code, about) => ({
      status: STATUSES[code] ?? 400,
      headers: [["Content-Type", "text/plain"]],
      body: Buffer.from(`${code} ${about.port ?? ""}`),
      code,
    }),
  };
}

const STATUSES: Readonly<Record<string, number>> = {
  BadAnswer: 502,
  NoAnswer: 502,
  NothingListens: 502,
  AnswerTimeout: 504,
  RequestTimeout: 408,
  InternalError: 500,
};

// The core never looks inside.
const UNUSED = {} as never;

async function listening(server: Server): Promise<Server> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
