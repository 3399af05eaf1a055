// The processes of one instance: what init says is matched with what the spool knows. Everything init says is judged
// here; a word out of place throws InitProtocolError, which ends the link.
import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { ENTRYPOINT_EXEC_ID } from "@sallyport/contracts";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import type { InitMessage, OutputFd, ProcessMessage, StartCommand } from "./init/messages.ts";
import { encodeStart } from "./init/messages.ts";
import { INIT_ANSWER_MS, MAX_ENDED_PROCESSES, MAX_RUNNING_PROCESSES, MAX_UNSTORED_BYTES } from "./limits.ts";
import type { OutputFlow } from "./output-flow.ts";
import type { ProcessHost } from "./process.ts";
import { Process } from "./process.ts";
import { SpoolBudget } from "./spool/budget.ts";
import type { ExecRecord } from "./spool/records.ts";
import { discard, findExecs, makeFolder, newExecRecord, writeExecRecord } from "./spool/records.ts";
import { startError } from "./start-error.ts";
import { withSignal } from "./wait.ts";

/** Bounds of the spool that an operator sets. */
export interface SpoolBounds {
  readonly streamBytes: number;
  readonly instanceBytes: number;
  readonly readerGraceMs: number;
}

export interface ProcessesOptions {
  /** The instance's folder: one folder below for each exec. */
  readonly directory: string;
  readonly trash: string;
  readonly bounds: SpoolBounds;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A process ended, or one of its outputs did. */
  readonly onProgress: (process: Process) => void;
  /** Init broke the protocol. */
  readonly onFailure: (error: InitProtocolError) => void;
}

/** What to start, beyond what init is told. */
export interface StartOptions {
  readonly command: StartCommand;
  /** The same id with another fingerprint is refused. */
  readonly fingerprint: string;
  readonly lifetimeMs: number | undefined;
}

interface PendingStart {
  readonly program: string;
  readonly frame: Buffer;
  readonly answer: PromiseWithResolvers<void>;
}

/** Handles of forgotten processes whose last words may still be on their way. */
const REMEMBERED_HANDLES = 4_096;

export class Processes implements AsyncDisposable {
  readonly #options: ProcessesOptions;
  readonly #budget: SpoolBudget;
  readonly #host: ProcessHost;
  readonly #byId = new Map<string, Process>();
  readonly #byHandle = new Map<number, Process>();
  readonly #forgotten = new Set<number>();
  readonly #starts = new Map<string, PendingStart>();
  readonly #withheld = new Set<OutputFlow>();
  #connection: InitConnection | undefined;
  #unstoredBytes = 0;
  #reading = true;

  /** Recovers what the instance's folder holds. */
  constructor(options: ProcessesOptions) {
    this.#options = options;
    this.#budget = new SpoolBudget(options.bounds.instanceBytes);
    this.#host = {
      hasRoom: () => this.#budget.makeRoom(),
      charge: (deltaBytes) => this.#charge(deltaBytes),
      withheld: (flow, withheld) => {
        if (withheld) this.#withheld.add(flow);
        else this.#withheld.delete(flow);
      },
      roomMayBeMade: () => {
        for (const flow of this.#withheld) flow.stored();
      },
      progressed: (process) => options.onProgress(process),
      forgotten: (handle) => this.#forget(handle),
    };
    const found = findExecs(options.directory, (directory) => this.#discard(directory));
    for (const { directory, record } of found.toSorted((a, b) => a.record.createdAtMs - b.record.createdAtMs)) {
      this.#add(directory, record);
    }
  }

  /** Bytes of output on disk. */
  get keptBytes(): number {
    return this.#budget.keptBytes;
  }

  /** Processes that are known, ended ones included. */
  get count(): number {
    return this.#byId.size;
  }

  get all(): IterableIterator<Process> {
    return this.#byId.values();
  }

  find(execId: string): Process | undefined {
    return this.#byId.get(execId);
  }

  /** The process; throws NotFound. */
  get(execId: string): Process {
    const process = this.#byId.get(execId);
    if (process === undefined) throw new AppError("NotFound", "there is no such process", { field: "exec_id" });
    return process;
  }

  /**
   * Starts a process and resolves when init says that it runs; an id that is known changes nothing. Rejects with
   * InvalidArgument (`command`, `workdir`) when it cannot be started, AlreadyExists when the id was used for another
   * command, ResourceExhausted at the limits, Unavailable when init does not answer.
   */
  async start(options: StartOptions, signal: AbortSignal): Promise<void> {
    const { command, fingerprint } = options;
    const known = this.#byId.get(command.execId);
    if (known !== undefined && known.record.fingerprint !== "" && known.record.fingerprint !== fingerprint) {
      throw new AppError("AlreadyExists", "the exec id was used for another command", { field: "exec_id" });
    }
    if (known !== undefined && (known.record.started || known.record.exit !== null)) return;
    if (known === undefined) this.#create(options);
    let pending = this.#starts.get(command.execId);
    if (pending === undefined) {
      pending = { program: command.argv[0] ?? "", frame: encodeStart(command), answer: Promise.withResolvers() };
      this.#starts.set(command.execId, pending);
      this.#connection?.send(pending.frame);
    }
    const tooLate = AbortSignal.timeout(INIT_ANSWER_MS);
    try {
      await withSignal(pending.answer.promise, AbortSignal.any([signal, tooLate]));
    } catch (error) {
      if (tooLate.aborted && !signal.aborted) throw new AppError("Unavailable", "the sandbox does not answer");
      throw error;
    }
  }

  /** Whether init means one of these by that handle. */
  owns(handle: number): boolean {
    return this.#byHandle.has(handle) || this.#forgotten.has(handle);
  }

  /** Init was met, and lists these. */
  connected(connection: InitConnection, messages: readonly ProcessMessage[]): void {
    const listed = new Map(messages.map((message) => [message.execId, message]));
    if (listed.size !== messages.length) throw new InitProtocolError("a process listed twice");
    for (const process of this.#byId.values()) {
      const complete = process.record.exit !== null && process.outputsEnded;
      if (process.record.started && !complete && !listed.has(process.execId)) {
        throw new InitProtocolError("a process that init no longer knows");
      }
    }
    this.#connection = connection;
    this.#reading = true;
    for (const message of listed.values()) this.#meet(message, connection);
    for (const { frame } of this.#starts.values()) connection.send(frame);
    this.#applyReading();
  }

  disconnected(): void {
    this.#connection = undefined;
    for (const process of this.#byHandle.values()) process.disconnect();
    this.#byHandle.clear();
    this.#forgotten.clear();
  }

  failed(error: InitProtocolError): void {
    this.#rejectStarts(new AppError("SandboxEnded", "the sandbox's init failed"));
    this.#options.onFailure(error);
  }

  message(message: InitMessage): void {
    switch (message.type) {
      case "output":
        flowOf(this.#mustKnow(message.handle), message.fd).output(message.offset, message.data);
        return;
      case "outputEnd": {
        const process = this.#known(message.handle);
        if (process !== undefined) flowOf(process, message.fd).outputEnd(message.offset);
        return;
      }
      case "exit":
        this.#known(message.handle)?.exited(message.status);
        return;
      case "inputAccepted":
        this.#known(message.handle)?.input.accepted(message.offset, message.closed);
        return;
      case "started":
        this.#started(message.execId, message.handle);
        return;
      case "startFailed":
        this.#startFailed(message);
        return;
      case "welcome":
      case "process":
      case "pong":
        throw new InitProtocolError(`a ${message.type} message in the middle`);
    }
  }

  /** The sandbox is gone: what runs ended with it. */
  terminate(): void {
    const reason = new AppError("SandboxEnded", "the sandbox has ended");
    this.#rejectStarts(reason);
    for (const process of this.#byId.values()) process.terminate(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rejectStarts(new AppError("Unavailable", "the gateway is stopping"));
    await Promise.all([...this.#byId.values()].map((process) => process[Symbol.asyncDispose]()));
  }

  #create({ command, fingerprint, lifetimeMs }: StartOptions): void {
    let running = 0;
    for (const process of this.#byId.values()) if (process.record.exit === null) running += 1;
    if (running >= MAX_RUNNING_PROCESSES) {
      throw new AppError("ResourceExhausted", `${MAX_RUNNING_PROCESSES} processes run already`);
    }
    this.#evictEnded(this.#byId.size - running);
    const now = this.#options.clock.now();
    const deadlineAtMs = lifetimeMs === undefined ? null : now + lifetimeMs;
    this.#record(newExecRecord(command, { createdAtMs: now, fingerprint, deadlineAtMs }));
  }

  /** Persisted before init hears of it: whatever happens between, the id finds its process again. */
  #record(record: ExecRecord): Process {
    const directory = join(this.#options.directory, record.execId);
    makeFolder(directory);
    writeExecRecord(directory, record);
    return this.#add(directory, record);
  }

  #add(directory: string, record: ExecRecord): Process {
    const { bounds, clock, logger } = this.#options;
    const { readerGraceMs, streamBytes } = bounds;
    const process = new Process({
      directory,
      record,
      streamBytes,
      readerGraceMs,
      budget: this.#budget,
      host: this.#host,
      clock,
      logger: logger.child({ execId: record.execId }),
    });
    this.#byId.set(record.execId, process);
    return process;
  }

  #evictEnded(ended: number): void {
    let excess = ended - MAX_ENDED_PROCESSES + 1;
    for (const process of this.#byId.values()) {
      if (excess <= 0) return;
      // The entrypoint's record stays: started again by a repeated call, the command would run twice.
      const kept = process.execId === ENTRYPOINT_EXEC_ID || process.session !== undefined;
      if (kept || process.record.exit === null) continue;
      this.#remove(process);
      excess -= 1;
    }
  }

  #remove(process: Process): void {
    this.#byId.delete(process.execId);
    for (const { spool } of [process.stdout, process.stderr]) this.#budget.remove(spool);
    void process[Symbol.asyncDispose]();
    this.#discard(process.directory);
  }

  #discard(directory: string): void {
    const { logger, trash } = this.#options;
    discard(directory, trash).catch((error: unknown) => logger.warn({ err: error }, "a folder could not be removed"));
  }

  /** A process of init's list. */
  #meet(message: ProcessMessage, connection: InitConnection): void {
    let process = this.#byId.get(message.execId);
    if (process === undefined) {
      // The spool was lost; init alone knows of it. Its list is bounded.
      const { clock } = this.#options;
      const { execId, stdinOpen } = message;
      process = this.#record(
        newExecRecord(
          { execId, argv: [], pty: undefined, stdin: stdinOpen },
          { createdAtMs: clock.now(), fingerprint: "", deadlineAtMs: null },
        ),
      );
      process.stdout.spool.skipTo(message.stdout.start);
      process.stderr.spool.skipTo(message.stderr.start);
    }
    this.#byHandle.set(message.handle, process);
    process.connect(connection, message);
    this.#answerStart(message.execId);
  }

  #started(execId: string, handle: number): void {
    const process = this.#byId.get(execId);
    const connection = this.#connection;
    if (process === undefined || connection === undefined) throw new InitProtocolError("a start nobody asked for");
    const { record, session } = process;
    if (session !== undefined || record.started) {
      if (session !== undefined && session.handle !== handle) throw new InitProtocolError("a second handle");
      connection.countIdleFrame();
      return;
    }
    if (!this.#starts.has(execId)) throw new InitProtocolError("a start nobody asked for");
    if (this.#byHandle.has(handle)) throw new InitProtocolError("a handle that another process has");
    this.#forgotten.delete(handle);
    this.#byHandle.set(handle, process);
    const none = { start: 0, end: 0 };
    const { stdin } = record;
    process.connect(connection, {
      handle,
      exited: false,
      stdinOpen: stdin,
      stdout: none,
      stderr: none,
      stdinAccepted: 0,
    });
    this.#answerStart(execId);
  }

  #answerStart(execId: string): void {
    this.#starts.get(execId)?.answer.resolve();
    this.#starts.delete(execId);
  }

  #startFailed(message: Extract<InitMessage, { type: "startFailed" }>): void {
    const pending = this.#starts.get(message.execId);
    const process = this.#byId.get(message.execId);
    if (pending === undefined || process === undefined || process.record.started) {
      throw new InitProtocolError("the failure of a start nobody asked for");
    }
    this.#starts.delete(message.execId);
    this.#remove(process);
    pending.answer.reject(startError(pending.program, message.stage, message.errno));
  }

  #rejectStarts(reason: AppError): void {
    for (const { answer } of this.#starts.values()) answer.reject(reason);
    this.#starts.clear();
  }

  #mustKnow(handle: number): Process {
    const process = this.#byHandle.get(handle);
    if (process === undefined) throw new InitProtocolError("output of a process that does not exist");
    return process;
  }

  /** The process of a handle; undefined for one that was forgotten while the message was on its way. */
  #known(handle: number): Process | undefined {
    const process = this.#byHandle.get(handle);
    if (process !== undefined) return process;
    if (!this.#forgotten.has(handle)) throw new InitProtocolError("a message about a process that does not exist");
    this.#connection?.countIdleFrame();
    return undefined;
  }

  #forget(handle: number): void {
    this.#byHandle.delete(handle);
    this.#forgotten.add(handle);
    if (this.#forgotten.size <= REMEMBERED_HANDLES) return;
    for (const oldest of this.#forgotten) {
      this.#forgotten.delete(oldest);
      return;
    }
  }

  #charge(deltaBytes: number): void {
    this.#unstoredBytes += deltaBytes;
    this.#applyReading();
  }

  /** A disk that cannot follow stops all reading from this init. */
  #applyReading(): void {
    const reading = this.#unstoredBytes < MAX_UNSTORED_BYTES;
    if (reading === this.#reading) return;
    this.#reading = reading;
    this.#connection?.setReading(reading);
  }
}

function flowOf(process: Process, fd: OutputFd): OutputFlow {
  return fd === 1 ? process.stdout : process.stderr;
}
