// SandboxIO: the processes, files and ports of the one sandbox that the caller's token names. Output is served from the
// spool by byte offsets, so what was read once can be read again; everything else needs the instance to be attached and open.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { BoundService, CallContext, Handlers } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import type { ReadOutputRequest, ReadOutputResponse, StartExecRequest } from "@sallyport/contracts";
import { MAX_CHUNK_BYTES, MAX_WAIT_MS, OutputStream } from "@sallyport/contracts";
import { SandboxIOService } from "@sallyport/contracts/grpc";
import { execOf } from "./exec-list.ts";
import { fileHandlers } from "./files/file-service.ts";
import { forwardHandler } from "./forward.ts";
import type { InitConnection } from "./init/connection.ts";
import { encodeResize, encodeSignal } from "./init/messages.ts";
import type { ExecBase, Instance } from "./instance.ts";
import type { Instances } from "./instances.ts";
import { INIT_ANSWER_MS, MAX_CALLS_PER_INSTANCE } from "./limits.ts";
import type { Opener } from "./open.ts";
import { signalNumber } from "./outcome.ts";
import type { Process } from "./process.ts";
import type { StartOptions } from "./processes.ts";
import { tellAll, tellOutput } from "./tell-output.ts";
import {
  argvOf,
  envList,
  envOf,
  execIdOf,
  fingerprintOf,
  lifetimeOf,
  mustBeWithin,
  ptyOf,
  workdirOf,
} from "./validate.ts";

/** The handlers, bound. */
export function ioService(instances: Instances, opener: Opener): BoundService {
  const handlers: Handlers<typeof SandboxIOService> = {
    startExec: (request, context) =>
      counted(instances, context, async (instance) => {
        const execId = execIdOf(request.execId);
        const base = await openBase(instance, context.signal);
        await instance.processes.start(startOptionsOf(execId, request, base), context.signal);
        return {};
      }),

    runExec: (request, context) =>
      countedStream(instances, context, async function* (instance) {
        const { stdoutOffset: stdout, stderrOffset: stderr, ...start } = request;
        const execId = execIdOf(request.execId);
        mustBeWithin("stdout_offset", stdout, 0, Number.MAX_SAFE_INTEGER);
        mustBeWithin("stderr_offset", stderr, 0, Number.MAX_SAFE_INTEGER);
        const base = await openBase(instance, context.signal);
        await instance.processes.start(startOptionsOf(execId, { ...start, stdin: false }, base), context.signal);
        yield* tellAll(instance.processes.get(execId), { stdout, stderr }, context.signal);
      }),

    readOutput: (request, context) => readOutput(instances, request, context),

    writeInput: (request, context) =>
      counted(instances, context, async (instance) => {
        const process = processOf(instance, request.execId);
        const { data, end, offset } = request;
        mustBeWithin("offset", offset, 0, Number.MAX_SAFE_INTEGER - MAX_CHUNK_BYTES);
        if (data.length > MAX_CHUNK_BYTES) throw invalidArgument("data", `is larger than ${MAX_CHUNK_BYTES} bytes`);
        if (!process.record.stdin) throw new AppError("FailedPrecondition", "the process was started without stdin");
        await mustBeLive(instance, context.signal);
        return await process.input.write({ offset, data, end }, context.signal);
      }),

    waitExec: (request, context) =>
      counted(instances, context, async (instance) => {
        const waitMs = mustBeWithin("wait_ms", request.waitMs, 0, MAX_WAIT_MS);
        const process = processOf(instance, request.execId);
        const deadline = AbortSignal.timeout(waitMs);
        const either = AbortSignal.any([context.signal, deadline]);
        while (process.outcome === undefined && !either.aborted) {
          try {
            await process.changed(either);
          } catch (error) {
            if (error !== deadline.reason) throw error;
          }
        }
        return { outcome: process.outcome };
      }),

    signalExec: (request, context) =>
      counted(instances, context, async (instance) => {
        const number = signalNumber(request.signal);
        if (number === undefined) throw invalidArgument("signal", "is no signal's name", 'e.g. "SIGTERM"');
        const process = processOf(instance, request.execId);
        await tellInit(instance, process, context.signal, (handle) => encodeSignal(handle, number));
        return {};
      }),

    resizeExec: (request, context) =>
      counted(instances, context, async (instance) => {
        const size = ptyOf(request.size, "size");
        if (size === undefined) throw invalidArgument("size", "is missing");
        const process = processOf(instance, request.execId);
        await tellInit(instance, process, context.signal, (handle) => encodeResize(handle, size.columns, size.rows));
        return {};
      }),

    listExecs: (_request, context) =>
      counted(instances, context, async (instance) => ({ execs: Array.from(instance.processes.all, execOf) })),

    ...fileHandlers({
      run: (context, call) => counted(instances, context, call),
      stream: (context, call) => countedStream(instances, context, call),
      open: openBase,
    }),

    forward: forwardHandler(instances, opener),
  };
  return bindService(SandboxIOService, handlers);
}

async function* readOutput(
  instances: Instances,
  request: ReadOutputRequest,
  context: CallContext,
): AsyncGenerator<ReadOutputResponse> {
  yield* countedStream(instances, context, async function* (instance) {
    const process = processOf(instance, request.execId);
    const { follow, offset } = request;
    mustBeWithin("offset", offset, 0, Number.MAX_SAFE_INTEGER);
    const { spool } = flowOf(process, request.stream);
    yield* tellOutput(spool, { offset, follow, signal: context.signal });
  });
}

/** Runs a call as one of the instance's. */
async function counted<Result>(
  instances: Instances,
  context: CallContext,
  call: (instance: Instance) => Promise<Result>,
): Promise<Result> {
  const instance = instanceOf(instances, context);
  const place = takeCall(instance);
  try {
    await instance.awake(context.signal);
    return await call(instance);
  } finally {
    place.leave();
  }
}

/** As {@link counted}, for a call that answers in a stream. */
async function* countedStream<Item>(
  instances: Instances,
  context: CallContext,
  call: (instance: Instance) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const instance = instanceOf(instances, context);
  const place = takeCall(instance);
  try {
    await instance.awake(context.signal);
    yield* call(instance);
  } finally {
    place.leave();
  }
}

/** The instance that the token names. */
function instanceOf(instances: Instances, { principal }: CallContext): Instance {
  if (principal.kind !== "io_grant") throw new AppError("PermissionDenied", "SandboxIO is for its tokens");
  const instance = instances.find(principal.instanceId);
  if (instance === undefined || instance.sandboxId !== principal.sandboxId) {
    throw new AppError("NotFound", "the sandbox is not here, or its output is no longer kept");
  }
  return instance;
}

function takeCall(instance: Instance): { readonly leave: () => void } {
  const place = instance.takeCall(MAX_CALLS_PER_INSTANCE);
  if (place === undefined) throw new AppError("ResourceExhausted", "too many calls on this sandbox are in flight");
  return place;
}

/** The process; NotFound is certain only where nothing can still come. */
function processOf(instance: Instance, execId: string): Process {
  const process = instance.processes.find(execId);
  if (process === undefined && !instance.detached && !instance.isOpen) {
    throw new AppError("Unavailable", "the sandbox is not open yet");
  }
  return process ?? instance.processes.get(execId);
}

function flowOf(process: Process, stream: OutputStream): Process["stdout"] {
  switch (stream) {
    case OutputStream.STDOUT:
      return process.stdout;
    case OutputStream.STDERR:
      return process.stderr;
    default: // unspecified, or any other number: the wire carries what it likes
      throw invalidArgument("stream", "must be stdout or stderr");
  }
}

/** Rejects with SandboxEnded after the end, with Unavailable before the opening or when init does not answer in time. */
async function mustBeLive(instance: Instance, signal: AbortSignal): Promise<InitConnection> {
  const tooLate = AbortSignal.timeout(INIT_ANSWER_MS);
  try {
    return await instance.connected(AbortSignal.any([signal, tooLate]));
  } catch (error) {
    if (error === tooLate.reason) throw new AppError("Unavailable", "the sandbox does not answer");
    throw error;
  }
}

async function openBase(instance: Instance, signal: AbortSignal): Promise<ExecBase> {
  await mustBeLive(instance, signal);
  if (instance.base === undefined) throw new AppError("Unavailable", "the sandbox is not open yet");
  return instance.base;
}

function startOptionsOf(execId: string, request: StartExecRequest, base: ExecBase): StartOptions {
  const { stdin } = request;
  const parts = { command: request.command, env: request.env, workdir: request.workdir ?? "", pty: request.pty };
  const lifetimeMs = lifetimeOf(request.lifetimeMs);
  const command = {
    execId,
    argv: argvOf(request.command),
    env: envList({ ...base.env, ...envOf(request.env) }),
    workdir: request.workdir === undefined ? base.workdir : workdirOf(request.workdir),
    stdin,
    pty: ptyOf(request.pty, "pty"),
  };
  return { command, fingerprint: fingerprintOf(parts, stdin, lifetimeMs), lifetimeMs };
}

/** Sends a frame about a process and resolves once init has taken it; nothing is to do for one that has ended. */
async function tellInit(
  instance: Instance,
  process: Process,
  signal: AbortSignal,
  frame: (handle: number) => Buffer,
): Promise<void> {
  if (process.outcome !== undefined && !instance.detached) return;
  const tooLate = AbortSignal.timeout(INIT_ANSWER_MS);
  const either = AbortSignal.any([signal, tooLate]);
  await mustBeLive(instance, either);
  try {
    while (process.session === undefined && process.outcome === undefined) await process.changed(either);
    const { session } = process;
    if (session === undefined) return;
    session.connection.send(frame(session.handle));
    await session.connection.roundTrip(either);
  } catch (error) {
    signal.throwIfAborted();
    throw new AppError("Unavailable", "the sandbox did not answer", { cause: error });
  }
}
