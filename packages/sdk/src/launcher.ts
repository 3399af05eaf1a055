// Starts processes in a sandbox, and leaves none behind that nobody has a handle of.
import { callUnary } from "@sallyport/contracts/grpc";
import { UNDECIDED } from "./create.ts";
import { SallyportError } from "./errors.ts";
import type { RunResult } from "./exit-status.ts";
import type { ExecOptions } from "./process.ts";
import { ProcessHandle } from "./process.ts";
import { runToEnd } from "./run.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";
import { toStart } from "./start.ts";
import type { Connections } from "./transport.ts";

/** What is known of the sandbox's end. */
export interface KnownEnd {
  /** Throws SandboxEnded when it is known to have ended. */
  throwIfKnown(): void;
  /** SandboxEnded when the api says that it has; never rejects. */
  ask(cause: unknown): Promise<SallyportError | undefined>;
}

/** Codes of a gateway that may mean an end. */
const MAY_HAVE_ENDED: ReadonlySet<string> = new Set(["NotFound", "FailedPrecondition", "Unavailable"]);

export class Launcher {
  readonly #connections: Connections;
  readonly #io: SandboxIo;
  readonly #end: KnownEnd;

  constructor(connections: Connections, io: SandboxIo, end: KnownEnd) {
    this.#connections = connections;
    this.#io = io;
    this.#end = end;
  }

  async runInOneCall(command: readonly string[], options: ExecOptions, scope: Scope): Promise<RunResult> {
    this.#end.throwIfKnown();
    const request = toStart(command, options);
    scope.throwIfOver();
    let started = false;
    try {
      return await runToEnd(this.#io, scope, request, () => {
        started = true;
      });
    } catch (error) {
      if (started || (SallyportError.is(error) && UNDECIDED.has(error.code))) {
        this.#connections.inBackground(new ProcessHandle(this.#io, request.execId, undefined).abandon());
      }
      throw started ? error : await this.#explainFailure(error);
    }
  }

  async runFed(command: readonly string[], options: ExecOptions, scope: Scope): Promise<RunResult> {
    const process = await this.start(command, options, scope, true);
    try {
      const [status, stdout, stderr] = await Promise.all([
        process.waitWithin(scope),
        scope.waitFor(process.stdout.text()),
        scope.waitFor(process.stderr.text()),
      ]);
      return { ...status, stdout, stderr };
    } catch (error) {
      this.#connections.inBackground(process.abandon());
      throw error;
    }
  }

  async start(command: readonly string[], options: ExecOptions, scope: Scope, stdin: boolean): Promise<ProcessHandle> {
    this.#end.throwIfKnown();
    const request = { ...toStart(command, options), stdin };
    scope.throwIfOver();
    try {
      await this.#io.call(scope, (stub, call) => callUnary(stub, stub.startExec, request, call));
    } catch (error) {
      if (SallyportError.is(error) && UNDECIDED.has(error.code)) {
        // It may have been started, and nobody would have its handle.
        this.#connections.inBackground(new ProcessHandle(this.#io, request.execId, undefined).abandon());
      }
      throw await this.#explainFailure(error);
    }
    return new ProcessHandle(this.#io, request.execId, options.stdin);
  }

  /** A gateway may no longer know an ended sandbox, and says so in several ways: the api knows. */
  async #explainFailure(error: unknown): Promise<unknown> {
    if (!SallyportError.is(error) || !MAY_HAVE_ENDED.has(error.code)) return error;
    return (await this.#end.ask(error)) ?? error;
  }
}
