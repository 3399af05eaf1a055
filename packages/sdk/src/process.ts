// Processes in a sandbox.
import { OutputStream } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { PtySize } from "./convert.ts";
import { toPtySize } from "./convert.ts";
import { sdkError } from "./errors.ts";
import type { ExitStatus } from "./exit-status.ts";
import { toExitStatus } from "./exit-status.ts";
import type { Input, InputSource } from "./input.ts";
import { Feeder, ProcessInput } from "./input.ts";
import type { Output } from "./output.ts";
import { ProcessOutput } from "./output.ts";
import { DEFAULT_OUTAGE_MS } from "./retry.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { CallOptions, Scope } from "./scope.ts";

/** How {@link Sandbox.exec} and {@link Sandbox.run} start a process. */
export interface ExecOptions extends CallOptions {
  /** Absolute. Default: the sandbox's. */
  readonly workdir?: string | undefined;
  /** Added to the sandbox's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Gives it a terminal; `true` is 80 × 24. Everything it writes is then in `stdout`. */
  readonly pty?: boolean | PtySize | undefined;
  /** Killed after so many milliseconds, with reason `timeout`. */
  readonly lifetimeMs?: number | undefined;
  /** All of its standard input. Default: `exec` leaves it to {@link Process.stdin}, `run` gives none. */
  readonly stdin?: InputSource | undefined;
}

/** A process in a sandbox. It goes on when this handle is gone; its output is kept by the platform. */
export interface Process {
  /** Names it within its sandbox. */
  readonly id: string;
  /** Its standard input; unusable when the `stdin` option feeds it. A process that reads to the end waits for `end()`. */
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /**
   * Its end. No deadline by default.
   *
   * @throws SallyportError `SandboxEnded` or `NotFound` when the platform no longer knows how it ended; whatever the
   * `stdin` option's stream failed with.
   */
  wait(options?: CallOptions): Promise<ExitStatus>;
  /** Its end if it has ended, else undefined. */
  poll(options?: CallOptions): Promise<ExitStatus | undefined>;
  /**
   * Sends a signal to its process group. Default `SIGTERM`. `SIGKILL` is repeated through an outage; another signal
   * is sent at most once, so that none arrives twice. Does nothing after its end.
   */
  kill(signal?: string, options?: CallOptions): Promise<void>;
  /** Tells its terminal a new size. */
  resize(size: PtySize, options?: CallOptions): Promise<void>;
}

const QUICK_MS = 60_000;
const POLL_MS = 20_000;
const ABANDON_MS = 10_000;

/** The one implementation of {@link Process}. */
export class ProcessHandle implements Process {
  readonly id: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly #io: SandboxIo;
  readonly #closed = new AbortController();
  readonly #feeder: Feeder | undefined;

  constructor(io: SandboxIo, id: string, stdin: ExecOptions["stdin"]) {
    this.id = id;
    this.#io = io;
    this.stdin = new ProcessInput(io, id, stdin === undefined ? undefined : refuseSecondFeeder);
    const output = { io, execId: id, closed: this.#closed.signal };
    this.stdout = new ProcessOutput({ ...output, stream: OutputStream.STDOUT, name: "stdout" });
    this.stderr = new ProcessOutput({ ...output, stream: OutputStream.STDERR, name: "stderr" });
    this.#feeder = stdin === undefined ? undefined : new Feeder(io, id, stdin);
  }

  async wait(options: CallOptions = {}): Promise<ExitStatus> {
    return this.waitWithin(this.#io.scope("Process.wait", options));
  }

  /** {@link wait} as part of a longer call. */
  async waitWithin(scope: Scope): Promise<ExitStatus> {
    const status = await this.#io.longPoll(scope, POLL_MS, async (stub, waitMs, call) => {
      const { outcome } = await callUnary(stub, stub.waitExec, { execId: this.id, waitMs }, call);
      return outcome === undefined ? undefined : toExitStatus(outcome);
    });
    this.#feeder?.stop();
    if (this.#feeder?.failure !== undefined) throw this.#feeder.failure;
    return status;
  }

  async poll(options: CallOptions = {}): Promise<ExitStatus | undefined> {
    const scope = this.#io.scope("Process.poll", options, QUICK_MS);
    const { outcome } = await this.#io.call(scope, (stub, call) =>
      callUnary(stub, stub.waitExec, { execId: this.id, waitMs: 0 }, call),
    );
    return outcome === undefined ? undefined : toExitStatus(outcome);
  }

  async kill(signal = "SIGTERM", options: CallOptions = {}): Promise<void> {
    await this.#signal(signal, this.#io.scope("Process.kill", options, QUICK_MS));
  }

  /** Kills a process that nobody waits for any more, and cuts its readers. Never rejects. */
  async abandon(): Promise<void> {
    this.#closed.abort(sdkError("Cancelled", "the run was given up"));
    this.#feeder?.stop();
    await this.#signal("SIGKILL", this.#io.lastingScope("cleaning up", ABANDON_MS)).then(undefined, bestEffort);
  }

  async #signal(signal: string, scope: Scope): Promise<void> {
    const request = { execId: this.id, signal };
    await this.#io.call(scope, (stub, call) => callUnary(stub, stub.signalExec, request, call), {
      once: signal !== "SIGKILL",
      maxAttemptMs: DEFAULT_OUTAGE_MS,
    });
  }

  async resize(size: PtySize, options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Process.resize", options, QUICK_MS);
    const request = { execId: this.id, size: toPtySize(size, "size") };
    await this.#io.call(scope, (stub, call) => callUnary(stub, stub.resizeExec, request, call));
  }
}

function bestEffort(): void {
  // Whoever abandons a process has another error to tell of; the sandbox's end ends the process at last.
}

function refuseSecondFeeder(): void {
  throw sdkError("FailedPrecondition", "standard input comes from the stdin option");
}
