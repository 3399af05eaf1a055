/// <reference lib="esnext.disposable" preserve="true" />
// Sandboxes, as users hold them.
import type { IoAccess, Sandbox as WireSandbox } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID, OutputStream } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { App } from "./app.ts";
import { connectionsOf } from "./client.ts";
import type { ConnectToken, ConnectTokenInfo, ConnectTokenOptions, Revocation } from "./connect-token.ts";
import { createConnectToken, listConnectTokens, revokeConnectTokens } from "./connect-token.ts";
import type { CreateOptions, PtySize, SandboxInfo } from "./convert.ts";
import { toInfo, toPtySize } from "./convert.ts";
import { createFrom } from "./create.ts";
import type { SallyportError } from "./errors.ts";
import type { EventsOptions, SandboxEvent } from "./events.ts";
import { readEvents } from "./events.ts";
import type { ExitStatus, RunResult } from "./exit-status.ts";
import type { FileSystem } from "./file-system.ts";
import { SandboxFiles } from "./file-system.ts";
import type { ForwardOptions, PortForward } from "./forward.ts";
import { startForward } from "./forward.ts";
import type { Input } from "./input.ts";
import { ProcessInput } from "./input.ts";
import { Launcher } from "./launcher.ts";
import type { Explanation, ListOptions } from "./life-cycle.ts";
import {
  awaitEnd,
  DEFAULT_TIMEOUT_MS,
  explainDestination,
  getSandbox,
  getSandboxByName,
  listSandboxes,
  setAsleep,
  setTags,
  updateNetwork,
} from "./life-cycle.ts";
import type { NetworkPolicy } from "./network.ts";
import type { Output } from "./output.ts";
import { ProcessOutput } from "./output.ts";
import type { ExecOptions, Process } from "./process.ts";
import { ProcessHandle } from "./process.ts";
import type { ProcessInfo } from "./process-list.ts";
import { listProcesses } from "./process-list.ts";
import { processFailed, refuseWithoutCommand, sandboxEnded } from "./sandbox-failures.ts";
import { SandboxIo } from "./sandbox-io.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { RunOptions } from "./start.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";
import type { Tunnel, Tunnels } from "./tunnel.ts";
import { liveTunnels, TUNNELS_TIMEOUT_MS, undeclaredPort } from "./tunnel.ts";

/**
 * A sandbox: a short-lived container under gVisor. `await using` terminates it at the end of the block; without it,
 * call {@link Sandbox.terminate}, or leave it to its lifetime.
 *
 * `P` are the ports that its create declared, so that others are no tunnels to the compiler; a handle by id or name knows
 * them at run time.
 *
 * Every method may throw SallyportError: `Unauthenticated`; `NotFound` for a sandbox that is not of this workspace;
 * `Cancelled` (signal), `DeadlineExceeded` (`timeoutMs`, 60 s where none is said otherwise); `Unavailable` when the
 * platform was away for more than 30 s.
 */
export class Sandbox<P extends number = number> implements AsyncDisposable {
  /** `sb-` and 26 characters; a DNS label. */
  readonly id: string;
  /** Standard input of the sandbox's own command. */
  readonly stdin: Input;
  /** Standard output of the sandbox's own command; with a terminal, everything. */
  readonly stdout: Output;
  /** Standard error of the sandbox's own command. */
  readonly stderr: Output;

  /** Its files. */
  readonly fs: FileSystem;

  readonly #connections: Connections;
  readonly #io: SandboxIo;
  readonly #launcher: Launcher;
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
    this.fs = new SandboxFiles(io);
    this.#connections = connections;
    this.#io = io;
    this.#info = toInfo(sandbox);
    this.#launcher = new Launcher(connections, io, {
      throwIfKnown: () => {
        if (this.#info.exitStatus !== undefined) throw sandboxEnded(this.#info);
      },
      ask: (cause) => this.#endAfter(cause),
    });
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
  static create<P extends number = never>(command: readonly string[], options?: CreateOptions<P>): Promise<Sandbox<P>>;
  static create<P extends number = never>(options?: CreateOptions<P>): Promise<Sandbox<P>>;
  static async create(first?: readonly string[] | CreateOptions, second?: CreateOptions): Promise<Sandbox> {
    const [command, options = {}] = isCommand(first) ? [first, second] : [undefined, first];
    if (typeof options !== "object") throw new TypeError("Sandbox.create takes an array of strings and options");
    const connections = connectionsOf(options.client);
    const { sandbox, ioAccess } = await createFrom(connections, command, options);
    return new Sandbox(connections, sandbox, ioAccess);
  }

  /** A handle of an existing sandbox, ended ones too. */
  static async fromId(id: string, options: CallOptions = {}): Promise<Sandbox> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Sandbox.fromId", options, connections, DEFAULT_TIMEOUT_MS);
    return new Sandbox(connections, await getSandbox(connections, scope, id));
  }

  /**
   * A handle of the living sandbox of this name.
   *
   * @throws SallyportError `NotFound` when no living sandbox of the app has the name.
   */
  static async fromName(app: App | string, name: string, options: CallOptions = {}): Promise<Sandbox> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Sandbox.fromName", options, connections, DEFAULT_TIMEOUT_MS);
    return new Sandbox(connections, await getSandboxByName(connections, scope, app, name));
  }

  /** The living sandboxes of the workspace, newest first; what is made while it lists is not among them. */
  static async *list(options: ListOptions = {}): AsyncGenerator<Sandbox, void> {
    const connections = connectionsOf(options.client);
    for await (const sandbox of listSandboxes(connections, options)) yield new Sandbox(connections, sandbox);
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
    const result =
      options.stdin === undefined
        ? await this.#launcher.runInOneCall(command, options, scope)
        : await this.#launcher.runFed(command, options, scope);
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
    return this.#launcher.start(command, options, this.#io.scope("Sandbox.exec", options, DEFAULT_TIMEOUT_MS), true);
  }

  /** Tells the terminal of the sandbox's own command a new size; a sandbox made without `pty` has none. */
  async resize(size: PtySize, options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Sandbox.resize", options, DEFAULT_TIMEOUT_MS);
    const request = { execId: ENTRYPOINT_EXEC_ID, size: toPtySize(size, "size") };
    await this.#io.call(scope, (stub, call) => callUnary(stub, stub.resizeExec, request, call));
  }

  /** Its processes, running and ended, while their output is kept; its own command is `entrypoint`. */
  async processes(options: CallOptions = {}): Promise<readonly ProcessInfo[]> {
    return listProcesses(this.#io, this.#io.scope("Sandbox.processes", options, DEFAULT_TIMEOUT_MS));
  }

  /** A handle of a process by its id, e.g. one that another program started. Nothing is asked: calls of it may be `NotFound`. */
  process(id: string): Process {
    return new ProcessHandle(this.#io, id, undefined);
  }

  /** Replaces all its tags. @throws SallyportError `InvalidArgument` with field `tags.KEY`; `SandboxEnded`. */
  async setTags(tags: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Sandbox.setTags", options, DEFAULT_TIMEOUT_MS);
    this.#info = toInfo(await setTags(this.#connections, scope, this.id, tags));
  }

  /**
   * Puts it to sleep, whatever uses it: it is frozen, keeps its memory and uses no processor. The next use wakes it.
   *
   * @throws SallyportError `SandboxEnded`; `FailedPrecondition` unless it runs.
   */
  async sleep(options: CallOptions = {}): Promise<void> {
    await this.#setAsleep(this.#io.scope("Sandbox.sleep", options, DEFAULT_TIMEOUT_MS), true);
  }

  /** Wakes it; one that is awake stays so. @throws SallyportError `SandboxEnded`; `FailedPrecondition` unless it runs. */
  async wake(options: CallOptions = {}): Promise<void> {
    await this.#setAsleep(this.#io.scope("Sandbox.wake", options, DEFAULT_TIMEOUT_MS), false);
  }

  /**
   * Gives it another network policy, in one step: every packet meets either the old or the new one, and what the new one
   * does not allow is cut. Resolves once the kernel of its machine has it. Of several at once the last one holds.
   *
   * @throws SallyportError `InvalidArgument` with the entry at fault, e.g. `network.allow[2].ports[0]`; `SandboxEnded`;
   * `Unavailable` with field `network` when the kernel has not got it within 10 s: it is kept and applied as soon as can
   * be, which `info.networkPending` and the event `network_policy_changed` tell.
   */
  async updateNetworkPolicy(policy: NetworkPolicy, options: CallOptions = {}): Promise<void> {
    const scope = this.#io.scope("Sandbox.updateNetworkPolicy", options, DEFAULT_TIMEOUT_MS);
    this.#info = toInfo(await updateNetwork(this.#connections, scope, this.id, policy));
  }

  /**
   * What its policy says to a destination, and what would change that: an address with or without port and protocol,
   * e.g. `198.51.100.7:443`, `udp://[2001:db8::1]:53`, `icmp://198.51.100.7`. A port alone is one of TCP.
   *
   * @throws SallyportError `InvalidArgument` with field `destination`; `SandboxEnded`.
   */
  async explain(destination: string, options: CallOptions = {}): Promise<Explanation> {
    const scope = this.#io.scope("Sandbox.explain", options, DEFAULT_TIMEOUT_MS);
    return explainDestination(this.#connections, scope, this.id, destination);
  }

  /**
   * Makes a signed grant to talk HTTP or WebSocket to one of its ports, 8080 unless another is named. What the server
   * there must do is to listen; the network policy does not matter.
   *
   * @throws SallyportError `InvalidArgument` with field `userMetadata`, `port` or `expiresInMs`; `SandboxEnded`;
   * `ResourceExhausted`.
   */
  async createConnectToken(options: ConnectTokenOptions = {}): Promise<ConnectToken> {
    const scope = this.#io.scope("Sandbox.createConnectToken", options, DEFAULT_TIMEOUT_MS);
    return createConnectToken(this.#connections, scope, this.id, options);
  }

  /** Its connect tokens that have not expired, newest first; never the tokens themselves. */
  async connectTokens(options: CallOptions = {}): Promise<readonly ConnectTokenInfo[]> {
    const scope = this.#io.scope("Sandbox.connectTokens", options, DEFAULT_TIMEOUT_MS);
    return listConnectTokens(this.#connections, scope, this.id);
  }

  /** As {@link ConnectToken.revoke}, by the token's id. @throws SallyportError `NotFound` for one that it never had. */
  async revokeConnectToken(id: string, options: CallOptions = {}): Promise<Revocation> {
    const scope = this.#io.scope("Sandbox.revokeConnectToken", options, DEFAULT_TIMEOUT_MS);
    return revokeConnectTokens(this.#connections, scope, this.id, id);
  }

  /** Ends all connect tokens that it has so far, and the WebSockets that they opened. Tokens made later count. */
  async revokeConnectTokens(options: CallOptions = {}): Promise<Revocation> {
    const scope = this.#io.scope("Sandbox.revokeConnectTokens", options, DEFAULT_TIMEOUT_MS);
    return revokeConnectTokens(this.#connections, scope, this.id);
  }

  /**
   * The public addresses of the ports that its create declared, by port; none for one that declared none. Waits until every
   * tunnel-edge that can be reached serves them; whether a server listens there yet is another matter. `timeoutMs`: 50,000
   * where none is said.
   *
   * @throws SallyportError `DeadlineExceeded`, whose hint says whether no tunnel-edge is there, or which are out of reach;
   * `SandboxEnded`.
   */
  async tunnels(options: CallOptions = {}): Promise<Tunnels<P>> {
    const scope = this.#io.scope("Sandbox.tunnels", options, TUNNELS_TIMEOUT_MS);
    return (await liveTunnels(this.#connections, scope, this.id)) as Tunnels<P>;
  }

  /**
   * One of {@link Sandbox.tunnels}. @throws SallyportError as there, and `InvalidArgument` with field `port` for a port that
   * was not declared.
   */
  async tunnel(port: P, options: CallOptions = {}): Promise<Tunnel> {
    if (!this.#info.ports.some((declared) => declared.port === port)) throw undeclaredPort(port);
    const scope = this.#io.scope("Sandbox.tunnel", options, TUNNELS_TIMEOUT_MS);
    const { [port]: tunnel } = await liveTunnels(this.#connections, scope, this.id);
    if (tunnel === undefined) throw undeclaredPort(port);
    return tunnel;
  }

  /**
   * A port of this machine (`127.0.0.1`, a free one unless another is named) that leads to one of its ports, declared or not:
   * by the platform's API, with this client's token, so that nothing of it is public. Disposal closes it and what it carries,
   * and so do the signal and the handle's end. The sandbox is used while a connection is open.
   *
   * @throws SallyportError `InvalidArgument` with field `port`; `FailedPrecondition` where this machine cannot listen there;
   * `SandboxEnded`.
   */
  async forward(port: number, options: ForwardOptions = {}): Promise<PortForward> {
    const scope = this.#io.scope("Sandbox.forward", options, DEFAULT_TIMEOUT_MS);
    if (this.#info.exitStatus !== undefined) throw sandboxEnded(this.#info);
    return startForward(this.#io, scope, port, options);
  }

  /** What happened to it, oldest first; with `follow`, on to its end, through outages, without loss or repetition. */
  async *events(options: EventsOptions = {}): AsyncGenerator<SandboxEvent, void> {
    const timeoutMs = options.follow === true ? undefined : DEFAULT_TIMEOUT_MS;
    yield* readEvents(this.#connections, this.#io.scope("Sandbox.events", options, timeoutMs), this.id, options);
  }

  /** Its end if it has ended, else undefined. */
  async poll(options: CallOptions = {}): Promise<ExitStatus | undefined> {
    if (this.#info.exitStatus === undefined) {
      const scope = this.#io.scope("Sandbox.poll", options, DEFAULT_TIMEOUT_MS);
      this.#info = toInfo(await getSandbox(this.#connections, scope, this.id));
    }
    return this.#info.exitStatus;
  }

  /** Waits until it has ended. No deadline by default. */
  async wait(options: CallOptions = {}): Promise<ExitStatus> {
    return this.#untilEnded(this.#io.scope("Sandbox.wait", options), "waitSandbox");
  }

  /** Ends it and everything in it, and waits until it has ended. Ending an ended one changes nothing. */
  async terminate(options: CallOptions = {}): Promise<void> {
    await this.#untilEnded(this.#io.scope("Sandbox.terminate", options, DEFAULT_TIMEOUT_MS), "terminateSandbox");
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

  async #untilEnded(scope: Scope, method: "waitSandbox" | "terminateSandbox"): Promise<ExitStatus> {
    for (;;) {
      const { exitStatus } = this.#info;
      if (exitStatus !== undefined) return exitStatus;
      scope.throwIfOver();
      this.#info = toInfo(await awaitEnd(this.#connections, scope, this.id, method));
    }
  }

  /** Its end, if that is what a call failed by. */
  async #endAfter(cause: unknown): Promise<SallyportError | undefined> {
    if (this.#detached) return undefined;
    try {
      return (await this.poll({ timeoutMs: 5_000 })) === undefined ? undefined : sandboxEnded(this.#info, cause);
    } catch {
      return undefined; // what was asked for failed first
    }
  }

  async #setAsleep(scope: Scope, asleep: boolean): Promise<void> {
    this.#info = toInfo(await setAsleep(this.#connections, scope, this.id, asleep));
    if (this.#info.exitStatus !== undefined) throw sandboxEnded(this.#info);
  }
}

function isCommand(first: readonly string[] | CreateOptions | undefined): first is readonly string[] {
  return Array.isArray(first);
}
