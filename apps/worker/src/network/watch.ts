// Keeps the world around the router as it should be: the host's side, the host's addresses in the never set.

import type { ChildProcess } from "node:child_process";
import type { Logger } from "@sallyport/appkit/logger";
import { start } from "../system/command.ts";
import { messageOf } from "./errors.ts";
import type { HostSide } from "./host.ts";

/** Address changes are heard at once, and looked for at this pace too. */
const WATCH_INTERVAL_MS = 2000;
/** Addresses come in bursts. */
const SETTLE_MS = 50;

export interface WatchOptions {
  readonly host: HostSide;
  readonly refreshAddresses: () => Promise<void>;
  readonly logger: Logger;
  readonly intervalMs?: number | undefined;
}

export class Watch implements AsyncDisposable {
  readonly #options: WatchOptions;
  readonly #intervalMs: number;
  #monitor: ChildProcess | undefined;
  #monitorEnded: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#intervalMs = options.intervalMs ?? WATCH_INTERVAL_MS;
    this.#listen();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#enqueue(() => this.#round()).then(
        () => this.#schedule(),
        () => this.#schedule(),
      );
    }, this.#intervalMs);
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(() => (this.#closed ? undefined : task()));
    return this.#running;
  }

  async #round(): Promise<void> {
    if (this.#monitor === undefined) this.#listen();
    await this.#step("host addresses", this.#options.refreshAddresses);
    await this.#step("host side", async () => {
      if (await this.#options.host.repair()) this.#options.logger.warn({}, "host table was gone, loaded again");
    });
  }

  async #step(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#options.logger.error({ what, error: messageOf(error) }, "network watch failed, will try again");
    }
  }

  /** `ip monitor` says when an address comes or goes; what it says does not matter, the tables are read again. */
  #listen(): void {
    // It reads nothing, so it would not notice a killed worker: the kernel ends it with us.
    const child = start(["setpriv", "--pdeathsig", "KILL", "ip", "monitor", "address"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#monitor = child;
    this.#monitorEnded = new Promise((resolve) => {
      const ended = (): void => {
        if (this.#monitor === child) this.#monitor = undefined;
        resolve();
      };
      child.once("close", ended);
      child.once("error", ended);
    });
    child.stdout?.on("data", () => {
      if (this.#closed || this.#settling !== undefined) return;
      this.#settling = setTimeout(() => {
        this.#settling = undefined;
        void this.#enqueue(() => this.#step("host addresses", this.#options.refreshAddresses));
      }, SETTLE_MS);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#settling);
    this.#monitor?.kill("SIGKILL");
    await Promise.all([this.#monitorEnded, this.#running]);
  }
}
