// One process of a sandbox: its record, its three streams, its deadline. Init may forget it once its exit and the ends
// of both outputs are recorded here.
import { constants } from "node:os";
import type { Clock } from "@sallyport/appkit/clock";
import type { AppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { Outcome } from "@sallyport/contracts";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import type { ExitStatus, OutputFd, ProcessMessage } from "./init/messages.ts";
import { encodeForget, encodeSignal } from "./init/messages.ts";
import { InputFlow } from "./input-flow.ts";
import { outcomeOf } from "./outcome.ts";
import type { FlowHost } from "./output-flow.ts";
import { OutputFlow } from "./output-flow.ts";
import type { SpoolBudget } from "./spool/budget.ts";
import type { ExecRecord } from "./spool/records.ts";
import { writeExecRecord } from "./spool/records.ts";
import type { StreamName } from "./spool/segments.ts";
import { StreamSpool } from "./spool/stream.ts";
import { Change } from "./wait.ts";

const SAVE_AGAIN_MS = 1_000;

export interface ProcessOptions {
  readonly directory: string;
  readonly record: ExecRecord;
  readonly streamBytes: number;
  readonly readerGraceMs: number;
  readonly budget: SpoolBudget;
  readonly host: ProcessHost;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a process asks of the instance that it belongs to. */
export interface ProcessHost extends FlowHost {
  /** The process ended, or one of its outputs did. */
  progressed(process: Process): void;
  /** Init was told to forget the process: its handle means nothing from now on. */
  forgotten(handle: number): void;
}

type RecordChange = Partial<Omit<ExecRecord, "execId" | "version">>;

export class Process implements AsyncDisposable {
  readonly directory: string;
  readonly stdout: OutputFlow;
  readonly stderr: OutputFlow;
  readonly input: InputFlow;
  readonly #options: ProcessOptions;
  readonly #change = new Change();
  readonly #stop = new AbortController();
  #record: ExecRecord;
  /** What the record says is not on disk yet. */
  #unsaved = false;
  #saveAgain: NodeJS.Timeout | undefined;
  #deadlineWatched = false;
  #session: { readonly connection: InitConnection; readonly handle: number } | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#record = options.record;
    this.directory = options.directory;
    this.stdout = this.#makeFlow(1, "stdout");
    this.stderr = this.#makeFlow(2, "stderr");
    this.input = new InputFlow({
      read: () => this.#record.inputEnd,
      write: (inputEnd) => this.update({ inputEnd }),
    });
    if (this.#record.exit !== null) this.input.close();
  }

  get record(): ExecRecord {
    return this.#record;
  }

  get execId(): string {
    return this.#record.execId;
  }

  /** Where it is reached, while init is connected and knows it. */
  get session(): { readonly connection: InitConnection; readonly handle: number } | undefined {
    return this.#session;
  }

  /** How it ended; undefined while it runs. */
  get outcome(): Outcome | undefined {
    return outcomeOf(this.#record);
  }

  /** Whether both outputs ended and all of them is on disk. */
  get outputsEnded(): boolean {
    return this.stdout.spool.ended && this.stderr.spool.ended;
  }

  /** Resolves at the next change: started, reachable, ended. */
  async changed(signal: AbortSignal): Promise<void> {
    await this.#change.next(signal);
  }

  /** Persists a change of the record. */
  update(change: RecordChange): void {
    this.#record = { ...this.#record, ...change };
    this.#save();
    this.#change.announce();
  }

  /** A disk that is full ends nothing: init keeps what was not acknowledged, and the record is written again later. */
  #save(): void {
    try {
      writeExecRecord(this.directory, this.#record);
      this.#unsaved = false;
    } catch (error) {
      this.#unsaved = true;
      this.#options.logger.error({ err: error }, "the record of a process cannot be written; trying again");
      if (this.#saveAgain !== undefined) return;
      this.#saveAgain = setTimeout(() => {
        this.#saveAgain = undefined;
        if (this.#stop.signal.aborted) return;
        this.#save();
        this.#forgetWhenComplete();
      }, SAVE_AGAIN_MS).unref();
    }
  }

  /** Init has it, straight after START or on a new connection. */
  connect(connection: InitConnection, at: Omit<ProcessMessage, "type" | "execId">): void {
    const { handle } = at;
    this.#session = { connection, handle };
    if (!this.#record.started) this.update({ started: true });
    this.stdout.connect(connection, handle, at.stdout);
    this.stderr.connect(connection, handle, at.stderr);
    this.input.connect(connection, handle, at.stdinAccepted, at.stdinOpen);
    this.#change.announce();
    if (this.#record.exit === null) this.#watchDeadline();
    else this.#forgetWhenComplete();
  }

  disconnect(): void {
    this.#session = undefined;
    this.stdout.disconnect();
    this.stderr.disconnect();
    this.input.disconnect();
    this.#change.announce();
  }

  /** Init saw its end. */
  exited(status: ExitStatus): void {
    const { exit } = this.#record;
    if (exit !== null) {
      if (exit.kind !== status.kind || exit.value !== status.value) throw new InitProtocolError("a second, other exit");
      this.#session?.connection.countIdleFrame();
      return;
    }
    this.#end({ kind: status.kind, value: status.value });
    this.#forgetWhenComplete();
  }

  /** The sandbox is gone: what has not ended did so with it, and outputs end with what is there. */
  terminate(reason: AppError): void {
    this.disconnect();
    this.input.close(reason);
    if (this.#record.exit === null) this.#end({ kind: "terminated", value: 0 });
    this.stdout.finish();
    this.stderr.finish();
  }

  /** Stops timers and writing; what is on disk stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the process is let go"));
    this.disconnect();
    await Promise.all([this.stdout.spool.close(), this.stderr.spool.close()]);
  }

  #end(exit: NonNullable<ExecRecord["exit"]>): void {
    this.update({ exit, endedAtMs: this.#options.clock.now() });
    this.#stop.abort(new Error("the process ended"));
    this.input.close();
    this.#options.host.progressed(this);
  }

  #makeFlow(fd: OutputFd, name: StreamName): OutputFlow {
    const { budget, directory, host, logger, readerGraceMs, record, streamBytes } = this.#options;
    const endKey = name === "stdout" ? "stdoutEnd" : "stderrEnd";
    const spool: StreamSpool = new StreamSpool({
      directory,
      name,
      streamBytes,
      readerGraceMs,
      logger,
      ended: record[endKey] !== null,
      listener: {
        stored: () => {
          flow.stored();
          host.roomMayBeMade();
        },
        ended: () => {
          this.update({ [endKey]: spool.end });
          this.#forgetWhenComplete();
          host.progressed(this);
        },
        kept: (deltaBytes) => budget.count(deltaBytes),
      },
    });
    const flow: OutputFlow = new OutputFlow(fd, spool, host);
    budget.add(spool);
    return flow;
  }

  #forgetWhenComplete(): void {
    const session = this.#session;
    if (session === undefined || this.#unsaved || this.#record.exit === null || !this.outputsEnded) return;
    session.connection.send(encodeForget(session.handle));
    this.#options.host.forgotten(session.handle);
    this.disconnect();
  }

  #watchDeadline(): void {
    const { deadlineAtMs, timedOut } = this.#record;
    if (timedOut) this.#kill();
    else if (deadlineAtMs !== null && !this.#deadlineWatched) {
      this.#deadlineWatched = true;
      this.#killAt(deadlineAtMs);
    }
  }

  #killAt(deadlineAtMs: number): void {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    const run = async () => {
      try {
        await clock.sleep(Math.max(0, deadlineAtMs - clock.now()), signal);
      } catch {
        return; // it ended before
      }
      if (this.#record.timedOut) return;
      this.update({ timedOut: true });
      this.#kill();
    };
    void run();
  }

  /** Repeated on each connection until init tells the exit. */
  #kill(): void {
    this.#session?.connection.send(encodeSignal(this.#session.handle, constants.signals.SIGKILL));
  }
}
