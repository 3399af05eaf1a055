/// <reference lib="esnext.disposable" preserve="true" />
// Sandboxes, as users hold them.
import { randomUUID } from "node:crypto";
import type { IoAccess, Sandbox as WireSandbox } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID, MAX_WAIT_MS, OutputStream } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { App } from "./app.ts";
import { connectionsOf } from "./client.ts";
import type { CreateOptions, PtySize, SandboxInfo } from "./convert.ts";
import { toCommand, toCreateRequest, toEnv, toInfo, toPty, toPtySize, wholeNumber } from "./convert.ts";
import { createSandbox, UNDECIDED } from "./create.ts";
import { SallyportError, sdkError } from "./errors.ts";
import type { ExitStatus, RunResult } from "./exit-status.ts";
import { describeExit } from "./exit-status.ts";
import type { Input } from "./input.ts";
import { ProcessInput } from "./input.ts";
import type { Output } from "./output.ts";
import { ProcessOutput } from "./output.ts";
import type { ExecOptions, Process } from "./process.ts";
import { ProcessHandle } from "./process.ts";
import { SandboxIo } from "./sandbox-io.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";

/** Which sandboxes {@link Sandbox.list} lists. `timeoutMs` is the deadline of each page. */
export interface ListOptions extends CallOptions {
  /** Only this app's. */
  readonly app?: App | string | undefined;
  /** Ended ones too, while the platform remembers them. */
  readonly includeEnded?: boolean | undefined;
}

/** How {@link Sandbox.run} runs. `timeoutMs` is the deadline of the whole run; past it the process is killed. */
export interface RunOptions extends ExecOptions {
  /** Rejects with `ProcessFailed` unless the process exits 0. */
  readonly check?: boolean | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const POLL_MS = 20_000;
const POLL_ATTEMPT_MS = 30_000;
const SHOWN_STDERR_LINES = 10;
const SHOWN_STDERR_CHARACTERS = 2_000;

/**
 * A sandbox: a short-lived container under gVisor. `await using` terminates it at the end of the block; without it,
 * call {@link Sandbox.terminate}, or leave it to its lifetime.
 *
 * Every method may throw SallyportError: `Unauthenticated`; `NotFound` for a sandbox that is not of this workspace;
 * `Cancelled` (signal), `DeadlineExceeded` (`timeoutMs`, 60 s where none is said otherwise); `Unavailable` when the
 * platform was away for more than 30 s.
 */
export class Sandbox implements AsyncDisposable {
  /** `sb-` and 26 characters; a DNS label. */
  readonly id: string;
  /** Standard input of the sandbox's own command. */
  readonly stdin: Input;
  /** Standard output of the sandbox's own command; with a terminal, everything. */
  readonly stdout: Output;
  /** Standard error of the sandbox's own command. */
  readonly stderr: Output;

  readonly #connections: Connections;
  readonly #io: SandboxIo;
  #info: SandboxInfo;
  #detached = false;

  private constructor(connections: Connections, sandbox: WireSandbox, access?: IoAccess) {
    const io = new SandboxIo(sandbox.id, connections, access);
    const check = sandbox.command === undefined ? refuseWithoutCommand : undefined;
    const output = { io, execId: ENTRYPOINT_EXEC_ID, ...(check === undefined ? {} : { check }) };
    this.id = sandbox.id;
    this.stdin = new ProcessInput(io, ENTRYPOINT_EXEC_ID, check);
    this.stdout = new ProcessOutput({ ...output, stream: OutputStream.STDOUT, name: "stdout" });
    this.stderr = new ProcessOutput({ ...output, stream: OutputStream.STDERR, name: "stderr" });
    this.#connections = connections;
    this.#io = io;
    this.#info = toInfo(sandbox);
  }

  /**
   * Creates a sandbox and waits until it runs. With a command, the sandbox ends with it; without one it lives until
   * it is terminated or its lifetime is over.
   *
   * Made once or not at all: attempts repeat under one idempotency key, and a create that fails or is aborted leaves
   * nothing behind.
   *
   * @throws SallyportError `InvalidArgument` with the field at fault (`command` too when it cannot be started);
   * `NotFound` (`app`); `ResourceExhausted`; `SandboxEnded` when the platform could not start it.
   */
  static create(command: readonly string[], options?: CreateOptions): Promise<Sandbox>;
  static create(options?: CreateOptions): Promise<Sandbox>;
  static async create(first?: readonly string[] | CreateOptions, second?: CreateOptions): Promise<Sandbox> {
    const [command, options = {}] = isCommand(first) ? [first, second] : [undefined, first];
    if (typeof options !== "object") throw new TypeError("Sandbox.create takes an array of strings and options");
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Sandbox.create", options, connections, DEFAULT_TIMEOUT_MS);
    const waitMs = Math.min(MAX_WAIT_MS, Math.ceil(scope.remainingMs));
    const request = toCreateRequest(command, options, randomUUID(), waitMs);
    scope.throwIfOver();
    const { sandbox, ioAccess } = await createSandbox(connections, request, scope);
    return new Sandbox(connections, sandbox, ioAccess);
  }

  /** A handle of an existing sandbox, ended ones too. */
  static async fromId(id: string, options: CallOptions = {}): Promise<Sandbox> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Sandbox.fromId", options, connections, DEFAULT_TIMEOUT_MS);
    return new Sandbox(connections, await getSandbox(connections, scope, id));
  }

  /** The living sandboxes of the workspace, newest first. */
  static async *list(options: ListOptions = {}): AsyncGenerator<Sandbox, void> {
    const connections = connectionsOf(options.client);
    const { app } = options;
    const filter = {
      appName: typeof app === "object" ? app.name : app,
      pageSize: 0,
      includeEnded: options.includeEnded ?? false,
    };
    let pageToken = "";
    do {
      const scope = scopeOf("Sandbox.list", options, connections, DEFAULT_TIMEOUT_MS);
      const request = { ...filter, pageToken };
      const page = await connections.callApi(scope, ({ sandboxes }, call) =>
        callUnary(sandboxes, sandboxes.listSandboxes, request, call),
      );
      for (const sandbox of page.sandboxes) yield new Sandbox(connections, sandbox);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** What the platform last said of it to this handle; {@link Sandbox.poll} asks again. */
  get info(): SandboxInfo {
    return this.#info;
  }

  /**
   * Runs a process to its end and collects what it writes. Standard input is empty unless `stdin` is given. No
   * deadline by default; one that passes, or an abort, kills the process.
   *
   * @throws SallyportError `InvalidArgument` with field `command` or `workdir` when it cannot be started;
   * `SandboxEnded`; with `check`, `ProcessFailed`, whose `result` has status and output.
   */
  async run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const scope = this.#io.scope("Sandbox.run", options);
    const process = await this.#start(command, options, scope, options.stdin !== undefined);
    let result: RunResult;
    try {
      const [status, stdout, stderr] = await Promise.all([
        process.waitWithin(scope),
        scope.waitFor(process.stdout.text()),
        scope.waitFor(process.stderr.text()),
      ]);
      result = { ...status, stdout, stderr };
    } catch (error) {
      this.#connections.inBackground(process.abandon());
      throw error;
    }
    if (options.check === true && result.exitCode !== 0) throw processFailed(command, result);
    return result;
  }

  /**
   * Starts a process, and resolves once it runs.
   *
   * @throws SallyportError `InvalidArgument` with field `command` or `workdir` when it cannot be started;
   * `SandboxEnded`.
   */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<Process> {
    return this.#start(command, options, this.#io.scope("Sandbox.exec", options, DEFAULT_TIMEOUT_MS), true);
  }

  /** Tells the terminal of the sandbox's own command a new size; a sandbox made without `pty` has none. */
  async resize(size: PtySize, options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Sandbox.resize", options, DEFAULT_TIMEOUT_MS);
    const request = { execId: ENTRYPOINT_EXEC_ID, size: toPtySize(size, "size") };
    await this.#io.call(scope, (stub, call) => callUnary(stub, stub.resizeExec, request, call));
  }

  /** Its end if it has ended, else undefined. */
  async poll(options: CallOptions = {}): Promise<ExitStatus | undefined> {
    if (this.#info.exitStatus === undefined) {
      this.#learn(
        await getSandbox(this.#connections, this.#io.scope("Sandbox.poll", options, DEFAULT_TIMEOUT_MS), this.id),
      );
    }
    return this.#info.exitStatus;
  }

  /** Waits until it has ended. No deadline by default. */
  async wait(options: CallOptions = {}): Promise<ExitStatus> {
    const scope = this.#io.scope("Sandbox.wait", options);
    return this.#untilEnded(scope, async (waitMs) => {
      const request = { sandboxId: this.id, waitMs };
      const { sandbox } = await this.#connections.callApi(
        scope,
        ({ sandboxes }, call) => callUnary(sandboxes, sandboxes.waitSandbox, request, call),
        { maxAttemptMs: POLL_ATTEMPT_MS },
      );
      return sandbox;
    });
  }

  /** Ends it and everything in it, and waits until it has ended. Ending an ended one changes nothing. */
  async terminate(options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Sandbox.terminate", options, DEFAULT_TIMEOUT_MS);
    await this.#untilEnded(scope, async (waitMs) => {
      const request = { sandboxId: this.id, waitMs };
      const { sandbox } = await this.#connections.callApi(
        scope,
        ({ sandboxes }, call) => callUnary(sandboxes, sandboxes.terminateSandbox, request, call),
        { maxAttemptMs: POLL_ATTEMPT_MS },
      );
      return sandbox;
    });
  }

  /**
   * Lets the handle go: the sandbox runs on, disposal does nothing, what still reads or waits through this handle is
   * cut, and later calls reject with `FailedPrecondition`. {@link Sandbox.fromId} makes another handle.
   */
  async detach(): Promise<void> {
    this.#detached = true;
    this.#io.release();
  }

  /** Terminates it, unless it was detached, and lets the handle go. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#detached) return;
    await this.terminate();
    this.#detached = true;
    this.#io.release();
  }

  async #untilEnded(scope: Scope, ask: (waitMs: number) => Promise<WireSandbox | undefined>): Promise<ExitStatus> {
    for (;;) {
      const { exitStatus } = this.#info;
      if (exitStatus !== undefined) return exitStatus;
      scope.throwIfOver();
      this.#learn(await ask(Math.min(POLL_MS, Math.ceil(scope.remainingMs))));
    }
  }

  #learn(sandbox: WireSandbox | undefined): void {
    if (sandbox === undefined) throw sdkError("Internal", "the platform answered without a sandbox");
    this.#info = toInfo(sandbox);
  }

  async #start(command: readonly string[], options: ExecOptions, scope: Scope, stdin: boolean): Promise<ProcessHandle> {
    if (this.#info.exitStatus !== undefined) throw sandboxEnded(this.#info);
    const request = {
      // Chosen here, so that a repeated start starts nothing twice.
      execId: randomUUID(),
      command: toCommand(command),
      env: toEnv(options.env),
      workdir: options.workdir,
      pty: toPty(options.pty),
      stdin,
      lifetimeMs: wholeNumber("lifetimeMs", options.lifetimeMs, Number.MAX_SAFE_INTEGER),
    };
    try {
      await this.#io.call(scope, (stub, call) => callUnary(stub, stub.startExec, request, call));
    } catch (error) {
      if (SallyportError.is(error) && UNDECIDED.has(error.code)) {
        // It may have been started, and nobody would have its handle.
        this.#connections.inBackground(new ProcessHandle(this.#io, request.execId, undefined).abandon());
      }
      throw await this.#explainStartFailure(error);
    }
    return new ProcessHandle(this.#io, request.execId, options.stdin);
  }

  /** A gateway may no longer know an ended sandbox, and says so in several ways: the api knows. */
  async #explainStartFailure(error: unknown): Promise<unknown> {
    const mayHaveEnded = ["NotFound", "FailedPrecondition", "Unavailable"];
    if (this.#detached || !SallyportError.is(error) || !mayHaveEnded.includes(error.code)) return error;
    try {
      return (await this.poll({ timeoutMs: 5_000 })) === undefined ? error : sandboxEnded(this.#info, error);
    } catch {
      return error; // what was asked for failed first
    }
  }
}

function isCommand(first: readonly string[] | CreateOptions | undefined): first is readonly string[] {
  return Array.isArray(first);
}

async function getSandbox(connections: Connections, scope: Scope, sandboxId: string): Promise<WireSandbox> {
  const { sandbox } = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.getSandbox, { sandboxId }, call),
  );
  if (sandbox === undefined) throw sdkError("Internal", "the platform answered without a sandbox");
  return sandbox;
}

function refuseWithoutCommand(): void {
  throw sdkError("FailedPrecondition", "the sandbox was created without a command", {
    hint: "create it with one, or use run() or exec()",
  });
}

function sandboxEnded(info: SandboxInfo, cause?: unknown): SallyportError {
  const how = info.exitStatus === undefined ? "" : ` (${describeExit(info.exitStatus)})`;
  return sdkError("SandboxEnded", `${info.id} has ended${how}`, { cause });
}

function processFailed(command: readonly string[], result: RunResult): SallyportError {
  const tail = result.stderr
    .trimEnd()
    .split("\n")
    .slice(-SHOWN_STDERR_LINES)
    .join("\n")
    .slice(-SHOWN_STDERR_CHARACTERS);
  const message = `${JSON.stringify(command[0])} failed: ${describeExit(result)}${tail === "" ? "" : `\n${tail}`}`;
  return sdkError("ProcessFailed", message, { result });
}
