// The stream processes of one instance: started, fed with what init says of them, stopped when their caller leaves, and
// forgotten. They are bounded apart from the tenant's own, carry ids that no caller can choose, and survive no link:
// what an earlier link or gateway left behind is stopped as soon as init tells of it.
import { randomUUID } from "node:crypto";
import { constants } from "node:os";
import { AppError } from "@sallyport/appkit/errors";
import type { InitConnection } from "../init/connection.ts";
import { InitProtocolError } from "../init/errors.ts";
import type { InitMessage, ProcessMessage } from "../init/messages.ts";
import { encodeForget, encodeSignal, encodeStart } from "../init/messages.ts";
import { INIT_ANSWER_MS, MAX_STREAM_PROCESSES, STREAM_PROCESS_STOP_MS } from "../limits.ts";
import { withSignal } from "../wait.ts";
import { StreamProcess } from "./stream-process.ts";

/** Ids that begin so are the platform's own. */
export const RESERVED_EXEC_ID_PREFIX = "__";

/** Handles of forgotten processes whose last words may still be on their way. */
const REMEMBERED_HANDLES = 4_096;

interface PendingStart {
  readonly started: PromiseWithResolvers<StreamProcess>;
  /** Nobody waits any more. */
  abandoned: boolean;
}

export class StreamProcesses {
  readonly #byHandle = new Map<number, StreamProcess>();
  /** Those whose caller has left, with what kills them if they do not stop. */
  readonly #leaving = new Map<number, NodeJS.Timeout>();
  readonly #forgotten = new Set<number>();
  readonly #starts = new Map<string, PendingStart>();
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #connection: InitConnection | undefined;
  #places = 0;

  /** Whether init means one of these by that handle. */
  owns(handle: number): boolean {
    return this.#byHandle.has(handle) || this.#leaving.has(handle) || this.#forgotten.has(handle);
  }

  /**
   * Starts a process with its input open, once there is a place for it. The caller calls {@link leave} in the end.
   * Rejects with ResourceExhausted or FailedPrecondition when it cannot be started, Unavailable without init's answer.
   */
  async start(argv: readonly string[], signal: AbortSignal): Promise<StreamProcess> {
    await this.#takePlace(signal);
    const connection = this.#connection;
    if (connection === undefined) {
      this.#freePlace();
      throw broken();
    }
    const execId = `${RESERVED_EXEC_ID_PREFIX}${randomUUID()}`;
    const pending: PendingStart = { started: Promise.withResolvers(), abandoned: false };
    this.#starts.set(execId, pending);
    connection.send(encodeStart({ execId, argv, env: [], workdir: "/", stdin: true, pty: undefined }));
    const tooLate = AbortSignal.timeout(INIT_ANSWER_MS);
    try {
      return await withSignal(pending.started.promise, AbortSignal.any([signal, tooLate]));
    } catch (error) {
      pending.abandoned = true;
      if (tooLate.aborted && !signal.aborted) throw new AppError("Unavailable", "the sandbox does not answer");
      throw error;
    }
  }

  /** The caller is done with it: one that has not ended is told to. */
  leave(process: StreamProcess): void {
    const { handle } = process;
    if (handle === undefined || this.#byHandle.get(handle) !== process || this.#leaving.has(handle)) return;
    if (process.exit !== undefined) this.#forget(handle);
    else this.#stop(handle, "SIGTERM");
  }

  /** Init was met, and still has these. */
  connected(connection: InitConnection, leftBehind: readonly ProcessMessage[]): void {
    this.#connection = connection;
    for (const { exited, handle } of leftBehind) {
      this.#places += 1;
      this.#byHandle.set(handle, new StreamProcess());
      if (exited) this.#forget(handle);
      else this.#stop(handle, "SIGTERM");
    }
    this.#wakeWaiting();
  }

  /** The link is gone, and with it all that ran over it. */
  disconnected(): void {
    this.#failAll(broken());
    this.#connection = undefined;
    this.#forgotten.clear();
  }

  /** The sandbox is gone, or the gateway goes. */
  terminate(reason: AppError): void {
    this.#failAll(reason);
    for (const place of this.#waiting.splice(0)) place.reject(reason);
  }

  /** A word of init's about one of these. Throws InitProtocolError for one out of place. */
  message(message: InitMessage): void {
    switch (message.type) {
      case "started":
        this.#started(message.execId, message.handle);
        return;
      case "startFailed": {
        const pending = this.#takeStart(message.execId);
        this.#freePlace();
        if (!pending.abandoned) pending.started.reject(startError(message.stage));
        return;
      }
      case "exit":
        this.#exited(message.handle, message.status);
        return;
      case "output":
        if (message.fd !== 1) throw new InitProtocolError("output 2 that was not asked for");
        this.#living(message.handle)?.output(message.offset, message.data);
        return;
      case "outputEnd": {
        if (message.fd !== 1) throw new InitProtocolError("output 2 that was not asked for");
        this.#living(message.handle)?.outputEnd(message.offset);
        return;
      }
      case "inputAccepted":
        this.#living(message.handle)?.inputAccepted(message.offset, message.closed);
        return;
      case "welcome":
      case "process":
      case "pong":
        throw new InitProtocolError(`a ${message.type} message in the middle`);
    }
  }

  #started(execId: string, handle: number): void {
    const pending = this.#takeStart(execId);
    const connection = this.#connection;
    if (connection === undefined || this.owns(handle)) throw new InitProtocolError("a handle that another process has");
    const process = new StreamProcess();
    this.#byHandle.set(handle, process);
    process.connect(connection, handle);
    if (pending.abandoned) this.leave(process);
    else pending.started.resolve(process);
  }

  #exited(handle: number, status: { kind: "exited" | "signalled"; value: number }): void {
    const process = this.#byHandle.get(handle);
    if (process === undefined) {
      this.#connection?.countIdleFrame();
      return;
    }
    process.exited(status);
    if (this.#leaving.has(handle)) this.#forget(handle);
  }

  /** Who still listens; for the others the word is one of many that say nothing new. */
  #living(handle: number): StreamProcess | undefined {
    const process = this.#byHandle.get(handle);
    if (process !== undefined && !this.#leaving.has(handle)) return process;
    this.#connection?.countIdleFrame();
    return undefined;
  }

  #takeStart(execId: string): PendingStart {
    const pending = this.#starts.get(execId);
    if (pending === undefined) throw new InitProtocolError("an answer to a start nobody asked for");
    this.#starts.delete(execId);
    return pending;
  }

  #stop(handle: number, signal: "SIGTERM" | "SIGKILL"): void {
    this.#connection?.send(encodeSignal(handle, constants.signals[signal]));
    clearTimeout(this.#leaving.get(handle));
    const kill = setTimeout(() => this.#stop(handle, "SIGKILL"), STREAM_PROCESS_STOP_MS).unref();
    this.#leaving.set(handle, kill);
  }

  #forget(handle: number): void {
    this.#connection?.send(encodeForget(handle));
    clearTimeout(this.#leaving.get(handle));
    this.#leaving.delete(handle);
    this.#byHandle.delete(handle);
    this.#freePlace();
    this.#forgotten.add(handle);
    if (this.#forgotten.size <= REMEMBERED_HANDLES) return;
    for (const oldest of this.#forgotten) {
      this.#forgotten.delete(oldest);
      return;
    }
  }

  #failAll(reason: AppError): void {
    for (const { started } of this.#starts.values()) started.reject(reason);
    for (const process of this.#byHandle.values()) process.fail(reason);
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#places = 0;
    this.#starts.clear();
    this.#byHandle.clear();
    this.#leaving.clear();
    this.#wakeWaiting();
  }

  async #takePlace(signal: AbortSignal): Promise<void> {
    while (this.#places >= MAX_STREAM_PROCESSES) {
      const place = Promise.withResolvers<void>();
      this.#waiting.push(place);
      try {
        await withSignal(place.promise, signal);
      } catch (error) {
        const at = this.#waiting.indexOf(place);
        // One that was called and leaves hands its turn on.
        if (at === -1) this.#wakeWaiting();
        else this.#waiting.splice(at, 1);
        throw error;
      }
    }
    this.#places += 1;
  }

  #freePlace(): void {
    this.#places -= 1;
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    for (const place of this.#waiting.splice(0, Math.max(0, MAX_STREAM_PROCESSES - this.#places))) place.resolve();
  }
}

function broken(): AppError {
  return new AppError("Unavailable", "the link to the sandbox broke", { hint: "try again" });
}

function startError(stage: Extract<InitMessage, { type: "startFailed" }>["stage"]): AppError {
  if (stage === "exec" || stage === "cwd") {
    return new AppError("FailedPrecondition", "the sandbox can run no operation on files");
  }
  return new AppError("ResourceExhausted", "the sandbox cannot make another process");
}
