// One instance as the gateway knows it: recovered from disk, attached (init met), open (execs and connections may
// begin), detached (its output stays readable). Only forward; a recovered one is attached again.
import type { Socket } from "node:net";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { WatchInstancesResponse } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID } from "@sallyport/contracts";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import { InitLink } from "./init/link.ts";
import { OUTPUT_END_GRACE_MS } from "./limits.ts";
import type { Dial } from "./open.ts";
import { dialInit } from "./open.ts";
import type { Process } from "./process.ts";
import type { SpoolBounds } from "./processes.ts";
import { Processes } from "./processes.ts";
import type { InstanceRecord } from "./spool/records.ts";
import { writeInstanceRecord } from "./spool/records.ts";

/** Where init is and what it knows. */
export interface Attachment {
  /** The slot's addresses, the one to try first at the front. */
  readonly addresses: readonly string[];
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** What execs start from. */
export interface ExecBase {
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
}

export interface InstanceOptions {
  readonly directory: string;
  readonly trash: string;
  readonly record: InstanceRecord;
  readonly bounds: SpoolBounds;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly logger: Logger;
  /** There is something to tell the worker. */
  readonly onEvent: (instance: Instance) => void;
}

/** One connection's place among those of the instance. */
export interface ConnectionPlace {
  /** Aborted when the instance is detached. */
  readonly signal: AbortSignal;
  /** Keeps the place until the socket closes. */
  hold(socket: Socket): void;
  leave(): void;
}

export class Instance implements AsyncDisposable {
  readonly directory: string;
  readonly processes: Processes;
  readonly #options: InstanceOptions;
  readonly #gone = new AbortController();
  #record: InstanceRecord;
  #attachment: Attachment | undefined;
  #link: InitLink | undefined;
  #base: ExecBase | undefined;
  #event: WatchInstancesResponse["event"];
  #waitsForOutputs = false;
  #connections = 0;
  #calls = 0;
  #lastUsedMs: number;

  constructor(options: InstanceOptions) {
    const { bounds, clock, directory, logger, record, trash } = options;
    this.directory = directory;
    this.#options = options;
    this.#record = record;
    this.#lastUsedMs = clock.now();
    this.processes = new Processes({
      directory,
      trash,
      bounds,
      clock,
      logger,
      onProgress: (process) => this.#progressed(process),
      onFailure: (error) => this.#tell({ $case: "initFailed", value: { message: error.message } }),
    });
    // A kill between the record of a detachment and its effects: they follow now.
    if (this.detached) this.processes.terminate();
  }

  get id(): string {
    return this.#record.instanceId;
  }

  get sandboxId(): string {
    return this.#record.sandboxId;
  }

  get detachedAtMs(): number | null {
    return this.#record.detachedAtMs;
  }

  get detached(): boolean {
    return this.#record.detachedAtMs !== null;
  }

  get attached(): boolean {
    return this.#link !== undefined && !this.detached;
  }

  get isOpen(): boolean {
    return this.attached && this.#base !== undefined;
  }

  /** Whether init broke the protocol. */
  get failed(): boolean {
    return this.#link?.failure !== undefined;
  }

  /** What execs start from; unset until the instance is open. */
  get base(): ExecBase | undefined {
    return this.#base;
  }

  get addresses(): readonly string[] {
    return this.#attachment?.addresses ?? [];
  }

  /** What the worker is to know: told until the instance is detached. */
  get event(): WatchInstancesResponse["event"] {
    return this.#event;
  }

  /** When a connection or a call last began or ended, in milliseconds since the epoch. */
  get lastUsedMs(): number {
    return this.#lastUsedMs;
  }

  /** Meets init and resolves. Repeated with the same attachment, it waits for the link that is there. */
  async attach(attachment: Attachment, signal: AbortSignal): Promise<void> {
    if (this.detached) throw new AppError("SandboxEnded", "the instance was detached");
    if (this.#link !== undefined && !sameAttachment(this.#attachment, attachment)) {
      const old = this.#link;
      this.#link = undefined;
      await old[Symbol.asyncDispose]();
    }
    this.#attachment = attachment;
    this.#link ??= new InitLink({
      dial: (timeoutMs, dialSignal) => dialInit(this, this.#options.dial, timeoutMs, dialSignal),
      secret: attachment.secret,
      handler: this.processes,
      clock: this.#options.clock,
      logger: this.#options.logger,
    });
    await this.connected(signal);
    const entrypoint = this.processes.find(ENTRYPOINT_EXEC_ID);
    if (entrypoint !== undefined) this.#progressed(entrypoint);
  }

  /** Execs and connections may begin. */
  open(base: ExecBase): void {
    if (!this.attached) throw new AppError("FailedPrecondition", "the instance is not attached");
    this.#base = base;
  }

  /** The connection to init as soon as there is one. */
  async connected(signal: AbortSignal): Promise<InitConnection> {
    if (this.detached) throw new AppError("SandboxEnded", "the sandbox has ended");
    if (this.#link === undefined) throw new AppError("Unavailable", "the sandbox is not attached yet");
    try {
      return await this.#link.connected(AbortSignal.any([signal, this.#gone.signal]));
    } catch (error) {
      if (error instanceof InitProtocolError) {
        throw new AppError("SandboxEnded", "the sandbox's init failed", { cause: error });
      }
      throw error;
    }
  }

  /** The instance is gone: no link, no connection, nothing runs; what the spool holds stays. */
  async detach(): Promise<void> {
    if (!this.detached) {
      this.#record = { ...this.#record, detachedAtMs: this.#options.clock.now() };
      writeInstanceRecord(this.directory, this.#record);
    }
    this.#event = undefined;
    this.#base = undefined;
    this.#gone.abort(new AppError("SandboxEnded", "the sandbox has ended"));
    await this.#link?.[Symbol.asyncDispose]();
    this.processes.terminate();
  }

  /** A place for one more connection; undefined when there are that many already. */
  takeConnection(max: number): ConnectionPlace | undefined {
    if (this.#connections >= max) return undefined;
    this.#connections += 1;
    this.touch();
    let left = false;
    const leave = () => {
      if (left) return;
      left = true;
      this.#connections -= 1;
      this.touch();
    };
    const { signal } = this.#gone;
    const hold = (socket: Socket) => {
      const cut = () => socket.destroy();
      signal.addEventListener("abort", cut, { once: true });
      socket.once("close", () => {
        signal.removeEventListener("abort", cut);
        leave();
      });
      if (signal.aborted || socket.destroyed) cut();
    };
    return { signal, hold, leave };
  }

  /** Counts a call until `leave`; undefined when there are that many already. */
  takeCall(max: number): { readonly leave: () => void } | undefined {
    if (this.#calls >= max) return undefined;
    this.#calls += 1;
    this.touch();
    return {
      leave: () => {
        this.#calls -= 1;
        this.touch();
      },
    };
  }

  /** Somebody uses it. */
  touch(): void {
    this.#lastUsedMs = this.#options.clock.now();
  }

  /** Stops without ending anything: init and spool keep what there is for the next gateway. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone.abort(new AppError("Unavailable", "the gateway is stopping"));
    await this.#link?.[Symbol.asyncDispose]();
    await this.processes[Symbol.asyncDispose]();
  }

  #progressed(process: Process): void {
    const { outcome } = process;
    if (process.execId !== ENTRYPOINT_EXEC_ID || outcome === undefined || this.detached) return;
    if (process.outputsEnded) this.#tell({ $case: "entrypointEnded", value: outcome });
    else if (!this.#waitsForOutputs) {
      this.#waitsForOutputs = true;
      void this.#tellLater(process);
    }
  }

  /** Children in the background may hold the outputs open: the sandbox's end does not wait for them for long. */
  async #tellLater(process: Process): Promise<void> {
    try {
      await this.#options.clock.sleep(OUTPUT_END_GRACE_MS, this.#gone.signal);
    } catch {
      return; // detached, or the gateway stops
    }
    if (process.outcome !== undefined) this.#tell({ $case: "entrypointEnded", value: process.outcome });
  }

  #tell(event: NonNullable<WatchInstancesResponse["event"]>): void {
    if (this.#event !== undefined || this.detached) return;
    this.#event = event;
    this.#options.onEvent(this);
  }
}

function sameAttachment(left: Attachment | undefined, right: Attachment): boolean {
  return (
    left !== undefined &&
    left.addresses.join(" ") === right.addresses.join(" ") &&
    Buffer.from(left.secret).equals(right.secret)
  );
}
