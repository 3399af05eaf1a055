// One supervised child: started as its user, restarted when it dies, replaced on request without a gap, told to stop over
// its IPC channel.
//
//   stopped ──start──▶ starting ──"ready"──▶ ready ──replace──▶ ready, its predecessor draining
//      ▲                  │ exit, or no "ready" in time
//      │                  ▼
//      └──stop──── waiting (backoff) ──▶ starting
import type { Server } from "node:net";
import { systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import { Incarnation } from "./incarnation.ts";
import type { KeptSocketOptions } from "./kept-sockets.ts";
import { KeptSockets } from "./kept-sockets.ts";

type ChildState = "stopped" | "starting" | "ready" | "waiting";

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
  /** Sockets that stay open over crashes and replacements. A child that has some can be replaced while it runs. */
  readonly kept?: readonly KeptSocketOptions[];
  readonly logger: Logger;
  /** A start that is not ready within this time is ended and tried again. 30,000 when unset. */
  readonly readyTimeoutMs?: number;
  /** A stop that takes longer is a SIGKILL. 9,000 when unset. */
  readonly stopTimeoutMs?: number;
  /** Kept sockets of a child that has not served for so long are let go: better refused than left to wait. 10,000 when unset. */
  readonly keptWithoutChildMs?: number;
}

export interface ChildStatus {
  readonly name: string;
  readonly state: ChildState;
  readonly pid: number | undefined;
  readonly restarts: number;
  /** The process before, as long as it lets its connections end. */
  readonly drainingPid?: number;
}

const KEPT_WITHOUT_CHILD_MS = 10_000;
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 9_000;

/** A child that stays up until it is stopped. */
export class Child implements AsyncDisposable {
  readonly #options: ChildOptions;
  readonly #stop = new AbortController();
  readonly #kept: KeptSockets;
  #state: "stopped" | "starting" | "waiting" = "stopped";
  #current: Incarnation | undefined;
  /** What will be the current one once it is ready. */
  #successor: Incarnation | undefined;
  #leaving: Incarnation | undefined;
  #isReplaced = false;
  #restarts = 0;
  #loop: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#kept = new KeptSockets(options.kept ?? []);
  }

  get name(): string {
    return this.#options.name;
  }

  get status(): ChildStatus {
    const draining = this.#leaving?.pid;
    return {
      name: this.name,
      state: this.#current?.isReady === true ? "ready" : this.#state,
      pid: this.#current?.pid,
      restarts: this.#restarts,
      ...(draining === undefined ? {} : { drainingPid: draining }),
    };
  }

  /** Starts it, if it was not, and resolves when it is ready; rejects when the signal is aborted before. */
  start(signal: AbortSignal): Promise<void> {
    this.#loop ??= this.#keepUp();
    if (this.#current?.isReady === true) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(onReady);
        reject(new Error(`${this.name} did not become ready`, { cause: signal.reason }));
      };
      const onReady = () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(onReady);
    });
  }

  /**
   * Starts another process beside the one that runs, and has it take over once it is ready; the one before then lets its
   * connections end. Rejects, and leaves everything as it is, where the new one does not become ready.
   */
  async replace(): Promise<void> {
    const { logFile, logger, kept = [] } = this.#options;
    const before = this.#current;
    if (kept.length === 0) throw new Error(`${this.name} cannot be replaced while it runs`);
    if (before?.isReady !== true) throw new Error(`${this.name} is not ready`);
    if (this.#isReplaced) throw new Error(`${this.name} is being replaced`);
    if (this.#leaving !== undefined) {
      throw new Error(`${this.name}: the process before (${this.#leaving.pid}) still lets its connections end`);
    }
    this.#isReplaced = true;
    try {
      const next = await this.#launch(this.#stop.signal);
      this.#successor = next;
      if (!(await next.ready)) {
        throw new Error(
          `the new process of ${this.name} did not become ready, and the one before goes on; see ${logFile}`,
        );
      }
      this.#current = next;
      logger.info({ child: this.name, pid: next.pid, before: before.pid }, "child replaced");
    } finally {
      this.#successor = undefined;
      this.#isReplaced = false;
    }
    void this.#letGo(before);
  }

  /** Tells a ready child to end for good what outlives a stop; resolves when it has, at most after `timeoutMs`. */
  async down(timeoutMs: number): Promise<boolean> {
    const child = this.#current;
    if (child?.isReady !== true) return false;
    this.#stop.abort();
    return await child.down(timeoutMs);
  }

  /** Stops the child; it is not started again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const all = [this.#current, this.#successor, this.#leaving].filter((one) => one !== undefined);
    await Promise.all(all.map((one) => one.stop(this.#stopTimeoutMs).catch(() => undefined)));
    await this.#loop;
    this.#kept[Symbol.dispose]();
  }

  get #stopTimeoutMs(): number {
    return this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS;
  }

  async #letGo(before: Incarnation): Promise<void> {
    this.#leaving = before;
    try {
      await before.stop(this.#stopTimeoutMs);
    } finally {
      this.#leaving = undefined;
    }
  }

  async #keepUp(): Promise<void> {
    const { keptWithoutChildMs = KEPT_WITHOUT_CHILD_MS, logger } = this.#options;
    const signal = this.#stop.signal;
    const backoff = new Backoff({ firstMs: 50, maxMs: 3_000 });
    let servedAtMs = systemClock.monotonicMs();
    while (!signal.aborted) {
      const startedAt = systemClock.monotonicMs();
      try {
        if (await this.#runOnce(signal)) servedAtMs = systemClock.monotonicMs();
      } catch (error) {
        logger.error({ child: this.name, err: error }, "child could not be started");
      }
      this.#current = undefined;
      if (signal.aborted) break;
      const now = systemClock.monotonicMs();
      if (now - servedAtMs > keptWithoutChildMs) this.#kept[Symbol.dispose]();
      if (now - startedAt > 10_000) backoff.reset();
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

  /** A process and those that replace it, until one ends that nobody replaces. True if the last one served. */
  async #runOnce(signal: AbortSignal): Promise<boolean> {
    const { logFile, logger } = this.#options;
    this.#state = "starting";
    const first = await this.#launch(signal);
    this.#current = first;
    void first.ready.then((isReady) => {
      if (!isReady) return;
      for (const tell of this.#waiting) tell();
      this.#waiting.clear();
    });
    for (let current = first; ; ) {
      const ended = await current.ended;
      // One that ends while its successor starts has none other to come.
      const next: Incarnation | undefined = this.#current === current ? this.#successor : this.#current;
      if (!signal.aborted && next === undefined) {
        logger.warn({ child: this.name, ...ended, logFile }, "child ended; starting it again");
      }
      if (next === undefined || signal.aborted) return current.isReady;
      this.#current = next;
      current = next;
    }
  }

  async #launch(signal: AbortSignal): Promise<Incarnation> {
    const { argv, env, listeners = [], logFile, logger, name, readyTimeoutMs = READY_TIMEOUT_MS } = this.#options;
    const servers: (readonly [name: string, server: Server])[] = [];
    using open = new DisposableStack();
    for (const listener of listeners) {
      const server = await listener.open(signal);
      open.defer(() => server.close());
      servers.push([listener.name, server]);
    }
    const kept = await this.#kept.open(signal);
    signal.throwIfAborted();
    const launched = new Incarnation({ argv, env, kept, logFile, logger, name, readyTimeoutMs, servers });
    open.move(); // each is closed once it is handed over
    return launched;
  }
}
