// One instance as the gateway knows it: recovered from disk, attached (init met), open (execs and connections may
// begin), detached (its output stays readable). Only forward; a recovered one is attached again.
import type { Socket } from "node:net";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { WatchInstancesResponse } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID } from "@sallyport/contracts";
import { OpenWrites } from "./files/open-writes.ts";
import { StreamProcesses } from "./files/stream-processes.ts";
import type { ToolHost } from "./files/tool.ts";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import { InitLink } from "./init/link.ts";
import { OUTPUT_END_GRACE_MS, USE_SETTLE_MS, WAKE_WAIT_MS } from "./limits.ts";
import { LinkRouter } from "./link-router.ts";
import type { Dial } from "./open.ts";
import { dialInit } from "./open.ts";
import type { Process } from "./process.ts";
import type { SpoolBounds } from "./processes.ts";
import { Processes } from "./processes.ts";
import { SleepGate } from "./sleep-gate.ts";
import type { InstanceRecord } from "./spool/records.ts";
import { writeInstanceRecord } from "./spool/records.ts";
import { Use } from "./use.ts";

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
  /** Where init's program is in the sandbox. */
  readonly initProgram: string;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly logger: Logger;
  /** There is something to tell the worker. */
  readonly onEvent: (instance: Instance, kind: EventKind) => void;
}

/** What the worker is told of: how the instance ends, whether it is used, whether it is to be woken. In this order. */
export const EVENT_KINDS = ["end", "activity", "wake"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

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
  /** What runs the operations on its files. */
  readonly tools: ToolHost;
  readonly writes: OpenWrites;
  readonly #router: LinkRouter;
  readonly #options: InstanceOptions;
  readonly #gone = new AbortController();
  #record: InstanceRecord;
  #attachment: Attachment | undefined;
  #link: InitLink | undefined;
  #base: ExecBase | undefined;
  #event: WatchInstancesResponse["event"];
  #waitsForOutputs = false;
  readonly #use: Use;
  readonly #gate: SleepGate;

  constructor(options: InstanceOptions) {
    const { bounds, clock, directory, logger, record, trash } = options;
    this.directory = directory;
    this.#options = options;
    this.#record = record;
    this.#use = new Use({
      runsExec: () => this.#runsExec(),
      onFlip: () => this.#announce("activity"),
      settleMs: USE_SETTLE_MS,
      clock,
    });
    this.#gate = new SleepGate({ maxWaitMs: WAKE_WAIT_MS, onWanted: () => this.#announce("wake") });
    this.processes = new Processes({
      directory,
      trash,
      bounds,
      clock,
      logger,
      onProgress: (process) => this.#progressed(process),
      onFailure: (error) => this.#tell({ $case: "initFailed", value: { message: error.message } }),
    });
    this.tools = { streams: new StreamProcesses(), program: options.initProgram };
    this.writes = new OpenWrites(this.tools);
    this.#router = new LinkRouter(this.processes, this.tools.streams);
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

  /** What the worker is to know, as it is now: told until the instance is detached. */
  eventOf(kind: EventKind): WatchInstancesResponse["event"] {
    switch (kind) {
      case "end":
        return this.#event;
      case "activity":
        return { $case: "activity", value: this.#use.activity };
      case "wake":
        return this.#gate.wakeWanted ? { $case: "wakeWanted", value: {} } : undefined;
    }
  }

  /**
   * Meets init and resolves. Repeated with the same attachment, it waits for the link that is there. An instance that is
   * asleep is suspended from then on, and its init is met once it is resumed; one that is not is resumed.
   */
  async attach(attachment: Attachment, asleep: boolean, signal: AbortSignal): Promise<void> {
    if (this.detached) throw new AppError("SandboxEnded", "the instance was detached");
    if (this.#link !== undefined && !sameAttachment(this.#attachment, attachment)) {
      const old = this.#link;
      this.#link = undefined;
      await old[Symbol.asyncDispose]();
    }
    this.#attachment = attachment;
    const isNew = this.#link === undefined;
    this.#link ??= new InitLink({
      dial: (timeoutMs, dialSignal) => dialInit(this, this.#options.dial, timeoutMs, dialSignal),
      secret: attachment.secret,
      handler: this.#router,
      paused: asleep,
      clock: this.#options.clock,
      logger: this.#options.logger,
    });
    if (isNew) {
      this.#use.changed(); // what an earlier gateway started may run
      this.#announce("activity");
    }
    if (asleep) {
      this.suspend(true);
      return;
    }
    this.resume();
    await this.connected(signal);
    const entrypoint = this.processes.find(ENTRYPOINT_EXEC_ID);
    if (entrypoint !== undefined) this.#progressed(entrypoint);
  }

  /** Execs and connections may begin. */
  open(base: ExecBase): void {
    if (!this.attached) throw new AppError("FailedPrecondition", "the instance is not attached");
    this.#base = base;
  }

  /** From now on whatever needs it waits. Throws FailedPrecondition while something uses it, unless forced. */
  suspend(force: boolean): void {
    if (this.detached) throw new AppError("SandboxEnded", "the instance was detached");
    if (!this.attached) throw new AppError("Unavailable", "the instance is not attached");
    if (!force && !this.#gate.suspended && this.#use.busy) {
      this.#use.changed(); // the worker seems not to know
      throw new AppError("FailedPrecondition", "the instance is in use");
    }
    this.#gate.suspend();
    this.#link?.pause();
  }

  /** Whatever waits goes on. */
  resume(): void {
    this.#link?.resume();
    this.#gate.resume();
  }

  /** Resolves while it is awake, and when it has ended; asks for it to be woken. Rejects with Unavailable in the end. */
  async awake(signal: AbortSignal): Promise<void> {
    await this.#gate.pass(AbortSignal.any([signal, this.#gone.signal]));
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
    this.#gate.resume(); // what the spool holds can be read, and the rest is told of the end
    this.#gone.abort(new AppError("SandboxEnded", "the sandbox has ended"));
    this.#endTools(new AppError("SandboxEnded", "the sandbox has ended"));
    await this.#link?.[Symbol.asyncDispose]();
    this.processes.terminate();
  }

  /** A place for one more connection; undefined when there are that many already. */
  takeConnection(max: number): ConnectionPlace | undefined {
    const leave = this.#use.beginConnection(max);
    if (leave === undefined) return undefined;
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
    const leave = this.#use.beginCall(max);
    return leave === undefined ? undefined : { leave };
  }

  /** Stops without ending anything: init and spool keep what there is for the next gateway. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone.abort(new AppError("Unavailable", "the gateway is stopping"));
    this.#use[Symbol.dispose]();
    this.#endTools(new AppError("Unavailable", "the gateway is stopping"));
    await this.#link?.[Symbol.asyncDispose]();
    await this.processes[Symbol.asyncDispose]();
  }

  #endTools(reason: AppError): void {
    this.tools.streams.terminate(reason);
    this.writes.terminate();
  }

  #progressed(process: Process): void {
    const { outcome } = process;
    if (outcome !== undefined) this.#use.changed();
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
    this.#announce("end");
  }

  #announce(kind: EventKind): void {
    if (this.attached) this.#options.onEvent(this, kind);
  }

  /** The entrypoint does not count: it is what sleeps. */
  #runsExec(): boolean {
    for (const { execId, record } of this.processes.all) {
      if (execId !== ENTRYPOINT_EXEC_ID && record.started && record.exit === null) return true;
    }
    return false;
  }
}

function sameAttachment(left: Attachment | undefined, right: Attachment): boolean {
  return (
    left !== undefined &&
    left.addresses.join(" ") === right.addresses.join(" ") &&
    Buffer.from(left.secret).equals(right.secret)
  );
}
