// One supervised child: started as its user, restarted when it dies, told to stop over its IPC channel.
//
//   stopped ──start──▶ starting ──"ready"──▶ ready
//      ▲                  │ exit, or no "ready" in time
//      │                  ▼
//      └──stop──── waiting (backoff) ──▶ starting
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Server } from "node:net";
import type { AppMessage, SupervisorMessage } from "@sallyport/appkit/lifecycle";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";

export type ChildState = "stopped" | "starting" | "ready" | "waiting";

export interface ChildOptions {
  readonly name: string;
  /** Program and arguments; whatever it executes in the end speaks appkit's lifecycle over NODE_CHANNEL_FD. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Its stdout and stderr are appended here. */
  readonly logFile: string;
  /** Opened before every start: listening sockets to hand over. The supervisor's own copies are closed afterwards. */
  readonly listeners?: readonly { readonly name: string; open(signal: AbortSignal): Promise<Server> }[];
  readonly logger: Logger;
  /** A start that is not ready within this time is ended and tried again. 30,000 when unset. */
  readonly readyTimeoutMs?: number;
  /** A stop that takes longer is a SIGKILL. 9,000 when unset. */
  readonly stopTimeoutMs?: number;
}

export interface ChildStatus {
  readonly name: string;
  readonly state: ChildState;
  readonly pid: number | undefined;
  readonly restarts: number;
}

/** A child that stays up until it is stopped. */
export class Child implements AsyncDisposable {
  readonly #options: ChildOptions;
  readonly #stop = new AbortController();
  #state: ChildState = "stopped";
  #process: ChildProcess | undefined;
  #restarts = 0;
  #loop: Promise<void> | undefined;
  #downed = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get status(): ChildStatus {
    const { name } = this.#options;
    return { name, state: this.#state, pid: this.#process?.pid, restarts: this.#restarts };
  }

  /** Starts it, if it was not, and resolves when it is ready; rejects when the signal is aborted before. */
  start(signal: AbortSignal): Promise<void> {
    this.#loop ??= this.#keepUp();
    if (this.#state === "ready") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(onReady);
        reject(new Error(`${this.#options.name} did not become ready`, { cause: signal.reason }));
      };
      const onReady = () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(onReady);
    });
  }

  /** Tells a ready child to end for good what outlives a stop; resolves when it has, at most after `timeoutMs`. */
  async down(timeoutMs: number): Promise<boolean> {
    const child = this.#process;
    if (child === undefined || this.#state !== "ready") return false;
    this.#stop.abort();
    const exited = exitOf(child);
    child.send({ type: "down" } satisfies SupervisorMessage);
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    await exited;
    clearTimeout(timer);
    return this.#downed;
  }

  /** Stops the child; it is not started again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = exitOf(child);
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.stopTimeoutMs ?? 9_000);
      await exited;
      clearTimeout(timer);
    }
    await this.#loop;
    this.#state = "stopped";
  }

  async #keepUp(): Promise<void> {
    const { name, logger } = this.#options;
    const signal = this.#stop.signal;
    const backoff = new Backoff({ firstMs: 50, maxMs: 3_000 });
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        await this.#runOnce(signal);
      } catch (error) {
        logger.error({ child: name, err: error }, "child could not be started");
      }
      this.#process = undefined;
      if (signal.aborted) break;
      if (performance.now() - startedAt > 10_000) backoff.reset();
      this.#state = "waiting";
      this.#restarts += 1;
      try {
        await backoff.pause(signal);
      } catch {
        break; // stopped while waiting
      }
    }
    this.#state = "stopped";
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const { name, argv, env, logFile, listeners = [], logger } = this.#options;
    this.#state = "starting";
    const servers: (readonly [name: string, server: Server])[] = [];
    using open = new DisposableStack();
    for (const listener of listeners) {
      const server = await listener.open(signal);
      open.defer(() => server.close());
      servers.push([listener.name, server]);
    }
    const log = openSync(logFile, "a", 0o640);
    const [program, ...args] = argv;
    const child = spawn(program, args, { env, stdio: ["ignore", log, log, "ipc"], detached: false });
    closeSync(log);
    this.#process = child;
    const exited = exitOf(child);
    const late = setTimeout(() => child.kill("SIGKILL"), this.#options.readyTimeoutMs ?? 30_000);
    child.on("message", (raw) => {
      const type = appMessageType(raw);
      if (type === "ready") {
        clearTimeout(late);
        this.#state = "ready";
        for (const tell of this.#waiting) tell();
        this.#waiting.clear();
      } else if (type === "downed") {
        this.#downed = true;
      }
    });
    for (const [listenerName, server] of servers) {
      const message = { type: "listener", name: listenerName } satisfies SupervisorMessage;
      child.send(message, server, (error) => {
        server.close();
        if (error !== null) logger.warn({ child: name, err: error }, "listening socket not handed over");
      });
    }
    const ended = await exited;
    clearTimeout(late);
    if (!signal.aborted) logger.warn({ child: name, ...ended, logFile }, "child ended; starting it again");
  }
}

/** A child that was broken into says what it likes: anything but a message of ours is nothing. */
function appMessageType(raw: unknown): AppMessage["type"] | undefined {
  if (typeof raw !== "object" || raw === null || !("type" in raw)) return undefined;
  return raw.type === "ready" || raw.type === "downed" ? raw.type : undefined;
}

async function exitOf(child: ChildProcess): Promise<{ exitCode: number | null; signalCode: string | null }> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise<void>((resolve, reject) => {
      child.once("exit", () => resolve());
      child.on("error", (error) => {
        if (child.pid === undefined) reject(error); // never started: there will be no exit
      });
    });
  }
  return { exitCode: child.exitCode, signalCode: child.signalCode };
}
