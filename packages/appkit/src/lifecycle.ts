// How a process of ours begins and ends: the doorway of every app. A supervisor talks to it over Node's IPC channel:
// it hands over listening sockets, or names descriptors of such that it keeps as well, and says "down"; when the channel closes, the supervisor is gone and the app stops
// as on SIGTERM. Stopping ends no sandbox; only "down" does.
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Logger } from "./logger.ts";
import { createLogger } from "./logger.ts";

/** A started app. */
export interface RunningApp extends AsyncDisposable {
  /** Ends everything that outlives a stop, for good. Apps that own nothing of the kind leave it out. */
  down?(): Promise<void>;
}

export interface MainOptions {
  readonly name: string;
  /** "info" when unset. */
  readonly logLevel?: string | undefined;
  /** Reads configuration and starts. Its signal is aborted when the process is told to stop meanwhile. */
  start(context: MainContext): Promise<RunningApp>;
  /** The process exits after so long even if disposal hangs; asked when it stops. 8,000 ms when unset. */
  readonly stopDeadlineMs?: number | (() => number);
}

export interface MainContext {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** A listening socket that the supervisor made and hands over; rejects when it does not come within 10 s. */
  listener(name: string): Promise<Server>;
}

/** What a supervisor sends. A "listener" comes with the socket, or is a descriptor that the process was started with. */
export type SupervisorMessage =
  | { readonly type: "down" }
  | { readonly type: "listener"; readonly name: string; readonly fd?: number };
/** What an app answers: it serves; it has ended everything that outlives a stop. */
export type AppMessage = { readonly type: "ready" } | { readonly type: "downed" };

/** Runs an app until it is told to stop; sets the exit code. Never rejects. */
export async function runMain(options: MainOptions): Promise<void> {
  const logger = createLogger(options.name, options.logLevel);
  const stop = new AbortController();
  const listeners = receiveListeners();
  let wantsDown = false;
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stop.abort(new Error(name)));
  process.on("disconnect", () => stop.abort(new Error("the supervisor is gone")));
  process.on("message", (message: SupervisorMessage) => {
    if (message.type !== "down") return;
    wantsDown = true;
    stop.abort(new Error("down"));
  });
  process.on("uncaughtException", (error) => {
    logger.error({ err: error }, "uncaught exception");
    process.exit(70);
  });
  try {
    const app = await options.start({ logger, signal: stop.signal, listener: listeners.take });
    send({ type: "ready" });
    logger.info({}, "ready");
    await aborted(stop.signal);
    const reason: unknown = stop.signal.reason;
    logger.info({ reason: reason instanceof Error ? reason.message : "" }, "stopping");
    if (wantsDown) {
      await app.down?.();
      send({ type: "downed" });
    }
    const { stopDeadlineMs = 8_000 } = options;
    exitAfter(typeof stopDeadlineMs === "number" ? stopDeadlineMs : stopDeadlineMs(), logger);
    await app[Symbol.asyncDispose]();
    logger.info({}, "stopped");
    process.exitCode = 0;
  } catch (error) {
    if (!stop.signal.aborted) {
      logger.error({ err: error }, "could not start");
      process.exitCode = 1;
    }
  }
  if (process.connected) process.disconnect();
  exitAfter(1_000, logger);
}

function send(message: AppMessage): void {
  if (process.connected) process.send?.(message);
}

function exitAfter(ms: number, logger: Logger): void {
  setTimeout(() => {
    logger.warn({ ms }, "something still runs after the stop; exiting");
    process.exit(process.exitCode ?? 1);
  }, ms).unref();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function receiveListeners(): { readonly take: (name: string) => Promise<Server> } {
  const arrived = new Map<string, Server>();
  const waiting = new Map<string, (server: Server) => void>();
  process.on("message", (message: SupervisorMessage, handle: unknown) => {
    if (message.type !== "listener") return;
    const server = message.fd === undefined ? (handle as Server) : listenLater(message.fd);
    if (message.fd === undefined) holdConnections(server);
    arrived.set(message.name, server);
    waiting.get(message.name)?.(server);
  });
  return {
    take: (name) => {
      const server = arrived.get(name);
      if (server !== undefined) return Promise.resolve(server);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no listening socket "${name}" within 10 s`)), 10_000);
        waiting.set(name, (late) => {
          clearTimeout(timer);
          resolve(late);
        });
      });
    },
  };
}

/**
 * A socket that the supervisor keeps is listened at once the app listens for connections. Until then whoever comes waits in
 * the kernel, and a predecessor that is still there takes him.
 */
function listenLater(fd: number): Server {
  const server = createServer();
  const onListener = (event: string) => {
    if (event !== "connection") return;
    server.off("newListener", onListener);
    // The listener is there once this event is over; and whoever is told "ready" must find somebody who listens.
    queueMicrotask(() => server.listen({ fd }));
  };
  server.on("newListener", onListener);
  return server;
}

/**
 * A listening socket that arrives accepts from then on. Whoever comes before the app listens for connections waits, where
 * it would otherwise be taken by nobody, and hang.
 */
function holdConnections(server: Server): void {
  const held: Socket[] = [];
  const hold = (socket: Socket) => held.push(socket);
  server.on("connection", hold);
  const onListener = (event: string) => {
    if (event !== "connection") return;
    server.off("newListener", onListener);
    server.off("connection", hold);
    // The listener is there once this event is over.
    process.nextTick(() => {
      for (const socket of held) server.emit("connection", socket);
    });
  };
  server.on("newListener", onListener);
}
