// Ports of this machine that lead to ports of a sandbox, as users hold them.
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { SallyportError, sdkError } from "./errors.ts";
import { carry, openForward, resetSocket } from "./forward-call.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { CallOptions, Scope } from "./scope.ts";

/** How {@link Sandbox.forward} listens. */
export interface ForwardOptions extends CallOptions {
  /**
   * The address of this machine that it listens at. Default: `127.0.0.1`. At any other everybody who reaches this machine
   * reaches the sandbox's port, without a token.
   */
  readonly host?: string | undefined;
  /** The port of this machine. Default: 0, which picks a free one. */
  readonly port?: number | undefined;
  /**
   * Told why a connection could not be opened or broke, e.g. `FailedPrecondition` while nothing listens in the sandbox; the
   * client's socket is reset. Default: nobody is told.
   */
  readonly onError?: ((error: SallyportError) => void) | undefined;
}

/** A port of this machine that leads to a port of a sandbox, until it is disposed of. It keeps the program running. */
export interface PortForward extends AsyncDisposable {
  /** The port in the sandbox. */
  readonly sandboxPort: number;
  /** Where it listens. */
  readonly host: string;
  /** The port where it listens. */
  readonly port: number;
}

/** How long a connection may take to be opened, in milliseconds: a restart of the gateway is ridden out. */
const OPEN_TIMEOUT_MS = 60_000;

/** Listens; resolves once connections are taken. */
export async function startForward(
  io: SandboxIo,
  scope: Scope,
  sandboxPort: number,
  options: ForwardOptions,
): Promise<PortForward> {
  const { host = "127.0.0.1", port = 0 } = options;
  checkPort("port", sandboxPort, 1);
  checkPort("options.port", port, 0);
  await io.ready(scope);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  await listen(server, host, port);
  return new Forward(io, scope, server, sandboxPort, options.onError);
}

function checkPort(field: string, port: number, min: number): void {
  if (Number.isInteger(port) && port >= min && port <= 65_535) return;
  throw sdkError("InvalidArgument", `${field}: ${port} is no port, which is ${min} to 65535`, { field });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host, port });
    await once(server, "listening");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw sdkError("FailedPrecondition", `${host}:${port} of this machine cannot be listened at (${code})`, {
      field: code === "EADDRINUSE" || code === "EACCES" ? "options.port" : "options.host",
      hint: "port 0 picks a free one",
      cause,
    });
  }
}

class Forward implements PortForward {
  readonly sandboxPort: number;
  readonly host: string;
  readonly port: number;
  readonly #io: SandboxIo;
  readonly #server: Server;
  readonly #onError: ForwardOptions["onError"];
  readonly #closed = new AbortController();
  readonly #connections = new Set<Promise<void>>();
  readonly #owner: AbortSignal;
  readonly #close = () => void this[Symbol.asyncDispose]();

  constructor(io: SandboxIo, scope: Scope, server: Server, sandboxPort: number, onError: ForwardOptions["onError"]) {
    const { address, port } = server.address() as AddressInfo;
    this.sandboxPort = sandboxPort;
    this.host = address;
    this.port = port;
    this.#io = io;
    this.#server = server;
    this.#onError = onError;
    this.#owner = scope.signal;
    server.on("connection", (socket) => this.#take(socket));
    server.on("error", (cause) => {
      this.#tell(sdkError("Internal", "a connection could not be taken", { cause }));
    });
    this.#owner.addEventListener("abort", this.#close, { once: true });
    if (this.#owner.aborted) this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#owner.removeEventListener("abort", this.#close);
    this.#closed.abort();
    this.#server.close();
    await Promise.all(this.#connections);
  }

  #take(socket: Socket): void {
    const serving = this.#serve(socket).finally(() => this.#connections.delete(serving));
    this.#connections.add(serving);
  }

  /** Never rejects. */
  async #serve(socket: Socket): Promise<void> {
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    socket.on("error", ignoreBecauseCloseFollows);
    try {
      const signal = AbortSignal.any([this.#closed.signal, gone.signal]);
      const opening = this.#io.scope("opening a connection", { signal, timeoutMs: OPEN_TIMEOUT_MS });
      const opened = await openForward(this.#io, opening, this.sandboxPort);
      await carry(opened, socket, this.#io.scope("a forwarded connection", { signal: this.#closed.signal }));
    } catch (error) {
      resetSocket(socket);
      if (!gone.signal.aborted || !SallyportError.is(error, "Cancelled")) this.#tell(error);
    }
  }

  #tell(error: unknown): void {
    if (this.#closed.signal.aborted) return;
    this.#onError?.(SallyportError.is(error) ? error : sdkError("Internal", "a connection failed", { cause: error }));
  }
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
