// Keeps one connection to one init: dials, greets, runs, and dials again when it ends, until it is closed or the init
// proves hostile. While the sandbox sleeps it neither dials nor judges: a connection that is there is left as it is.
// What the messages mean is the handler's business.
import type { Socket } from "node:net";
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { RESUME_ANSWER_MS, SUSPENDED_LISTEN_MS } from "../limits.ts";
import { Change } from "../wait.ts";
import type { InitConnection } from "./connection.ts";
import { meetInit } from "./connection.ts";
import { InitProtocolError } from "./errors.ts";
import type { InitMessage } from "./messages.ts";

/** Who listens to an init. Whatever these throw as InitProtocolError ends the link for good. */
export interface LinkHandler {
  /** Init was met: its process records are reconciled before its first message. */
  connected(connection: InitConnection): void;
  message(message: InitMessage): void;
  disconnected(): void;
  /** Init broke the protocol: there will be no further connection. */
  failed(error: InitProtocolError): void;
}

export interface LinkOptions {
  /** Opens a socket to init's port; rejects when it is refused or takes longer than so many milliseconds. */
  readonly dial: (timeoutMs: number, signal: AbortSignal) => Promise<Socket>;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  readonly handler: LinkHandler;
  /** Whether the sandbox sleeps: nothing is dialled before {@link InitLink.resume}. */
  readonly paused: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

// Before the first meeting the sandbox is booting: a refusal is the rule, and each millisecond of pause is one of its
// start. A SYN that meets an address not yet taken up is lost, so early dials give up quickly instead of waiting for TCP.
const BOOT_PAUSE_MS = { first: 2, max: 10 };
const BOOT_DIAL_MS = { first: 25, max: 2_000 };
/** So long the early dials stay as short as that; then they grow, for a machine under load. */
const BOOT_QUICK_MS = 500;
const LATER_PAUSE_MS = { first: 10, max: 1_000 };
const LATER_DIAL_MS = 5_000;
/** A connection that held so long was a good one: the next pause is short again. */
const GOOD_CONNECTION_MS = 5_000;

/** The link to one init. Disposal closes it for good. */
export class InitLink implements AsyncDisposable {
  readonly #options: LinkOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #connection: InitConnection | undefined;
  #failure: InitProtocolError | undefined;
  #paused: boolean;
  #deafening: NodeJS.Timeout | undefined;
  readonly #change = new Change();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#paused = options.paused;
    this.#running = this.#run(this.#stop.signal);
  }

  /** The connection, while there is one. */
  get connection(): InitConnection | undefined {
    return this.#connection;
  }

  /** What init did wrong, once it has. */
  get failure(): InitProtocolError | undefined {
    return this.#failure;
  }

  /** The connection as soon as there is one. Rejects with the signal's reason, or with init's failure. */
  async connected(signal: AbortSignal): Promise<InitConnection> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#connection !== undefined && !this.#connection.lost) return this.#connection;
      await this.#change.next(signal);
    }
  }

  /** The sandbox is about to be frozen. What it said until then is still heard. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#deafening = setTimeout(() => this.#connection?.setListening(false), SUSPENDED_LISTEN_MS).unref();
  }

  /** The sandbox goes on. A connection that did not survive its sleep is replaced. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    clearTimeout(this.#deafening);
    this.#change.announce();
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.setListening(true);
    connection.roundTrip(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(RESUME_ANSWER_MS)])).catch(() => {
      if (!this.#paused) connection.close();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#deafening);
    this.#stop.abort(new Error("the link is closed"));
    this.#connection?.close();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, handler, logger } = this.#options;
    let met = false;
    let pauseMs = BOOT_PAUSE_MS.first;
    let dialMs = BOOT_DIAL_MS.first;
    let firstDialAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      if (this.#paused) {
        try {
          while (this.#paused) await this.#change.next(signal);
        } catch {
          return; // closed meanwhile
        }
        pauseMs = met ? LATER_PAUSE_MS.first : BOOT_PAUSE_MS.first;
        firstDialAtMs = clock.monotonicMs();
      }
      const startedAtMs = clock.monotonicMs();
      try {
        await this.#connectOnce(met ? LATER_DIAL_MS : dialMs, signal, () => {
          if (!met) pauseMs = LATER_PAUSE_MS.first;
          met = true;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof InitProtocolError) {
          this.#failure = error;
          logger.warn({ problem: error.message }, "init broke the protocol");
          handler.failed(error);
          this.#change.announce();
          return;
        }
        logger.debug({ problem: error instanceof Error ? error.message : "" }, "no connection to init");
      }
      if (met && clock.monotonicMs() - startedAtMs > GOOD_CONNECTION_MS) pauseMs = LATER_PAUSE_MS.first;
      try {
        await clock.sleep(pauseMs, signal);
      } catch {
        return; // closed meanwhile
      }
      pauseMs = Math.min(pauseMs * 2, met ? LATER_PAUSE_MS.max : BOOT_PAUSE_MS.max);
      if (clock.monotonicMs() - firstDialAtMs > BOOT_QUICK_MS) dialMs = Math.min(dialMs * 2, BOOT_DIAL_MS.max);
    }
  }

  async #connectOnce(dialMs: number, signal: AbortSignal, onMet: () => void): Promise<void> {
    const { dial, handler, secret } = this.#options;
    const socket = await dial(dialMs, signal);
    const connection = await meetInit(socket, secret, signal);
    if (this.#paused) {
      connection.close();
      throw new Error("the sandbox was suspended meanwhile");
    }
    onMet();
    try {
      handler.connected(connection);
      this.#connection = connection;
      this.#change.announce();
      await connection.run((message) => handler.message(message));
    } finally {
      connection.close();
      this.#connection = undefined;
      handler.disconnected();
      this.#change.announce();
    }
  }
}
