// One process of a child, from its start to its end.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Server } from "node:net";
import type { AppMessage, SupervisorMessage } from "@sallyport/appkit/lifecycle";
import type { Logger } from "@sallyport/appkit/logger";

export interface IncarnationOptions {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly logger: Logger;
  /** Listening sockets to hand over; the supervisor's copies are closed then. */
  readonly servers: readonly (readonly [name: string, server: Server])[];
  /** Descriptors of bound sockets that the process inherits. */
  readonly kept: readonly (readonly [name: string, fd: number])[];
  readonly readyTimeoutMs: number;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signalCode: string | null;
}

/** Behind stdin, stdout, stderr and the channel. */
const FIRST_KEPT_FD = 4;

export class Incarnation {
  /** True once it serves; false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Rejects when it could not be started at all. */
  readonly ended: Promise<ProcessEnd>;
  readonly #process: ChildProcess;
  #isReady = false;
  #isDowned = false;

  /** Starts it; one that is not ready in time is killed. */
  constructor({ argv, env, kept, logFile, logger, name, readyTimeoutMs, servers }: IncarnationOptions) {
    const log = openSync(logFile, "a", 0o640);
    const [program, ...args] = argv;
    const inherited = kept.map(([, fd]) => fd);
    const child = spawn(program, args, { env, stdio: ["ignore", log, log, "ipc", ...inherited], detached: false });
    closeSync(log);
    this.#process = child;
    this.ended = endOf(child);
    const late = setTimeout(() => child.kill("SIGKILL"), readyTimeoutMs);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.ready = promise;
    const onEnd = () => {
      clearTimeout(late);
      resolve(false);
    };
    this.ended.then(onEnd, onEnd);
    child.on("message", (raw) => {
      const type = appMessageType(raw);
      if (type === "ready") {
        clearTimeout(late);
        this.#isReady = true;
        resolve(true);
      } else if (type === "downed") {
        this.#isDowned = true;
      }
    });
    for (const [listener, server] of servers) {
      child.send({ type: "listener", name: listener } satisfies SupervisorMessage, server, (error) => {
        server.close();
        if (error !== null) logger.warn({ child: name, err: error }, "listening socket not handed over");
      });
    }
    for (const [index, [listener]] of kept.entries()) {
      const message = { type: "listener", name: listener, fd: FIRST_KEPT_FD + index } satisfies SupervisorMessage;
      child.send(message, (error) => {
        if (error !== null) logger.warn({ child: name, err: error }, "listening socket not named");
      });
    }
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Tells it to stop; one that takes longer is killed. Resolves when it has ended. */
  async stop(timeoutMs: number): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#endWithin(timeoutMs);
  }

  /** Tells it to end for good what outlives a stop; resolves when it has ended, with whether it said so. */
  async down(timeoutMs: number): Promise<boolean> {
    this.#process.send({ type: "down" } satisfies SupervisorMessage);
    await this.#endWithin(timeoutMs);
    return this.#isDowned;
  }

  async #endWithin(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), timeoutMs);
    await this.ended;
    clearTimeout(timer);
  }
}

/** A child that was broken into says what it likes: anything but a message of ours is nothing. */
function appMessageType(raw: unknown): AppMessage["type"] | undefined {
  if (typeof raw !== "object" || raw === null || !("type" in raw)) return undefined;
  return raw.type === "ready" || raw.type === "downed" ? raw.type : undefined;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once("exit", (exitCode, signalCode) => resolve({ exitCode, signalCode }));
    child.on("error", (error) => {
      if (child.pid === undefined) reject(error); // never started: there will be no exit
    });
  });
}
