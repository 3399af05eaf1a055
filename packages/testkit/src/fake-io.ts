// SandboxIO of the fake platform: processes and files in memory, and ports where real servers listen.
import type { EventEmitter } from "node:events";
import type { Metadata, ServerDuplexStream, ServerWritableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import type {
  ForwardRequest,
  ForwardResponse,
  ReadFileRequest,
  ReadFileResponse,
  ReadOutputRequest,
  ReadOutputResponse,
  RemoveFileRequest,
  RunExecRequest,
  RunExecResponse,
  WriteFileRequest,
} from "@sallyport/contracts";
import { OutputStream, SandboxState } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";
import { brokenAfter } from "./fake-files.ts";
import { carry } from "./fake-forward.ts";
import type { TellOptions } from "./fake-output.ts";
import { tellAll, tellOutput } from "./fake-output.ts";
import { FakeProcess, PROGRAMS } from "./fake-process.ts";
import type { FakeSandbox } from "./fake-sandbox.ts";
import { until } from "./until.ts";

/** What the calls of SandboxIO need of the platform. */
export interface IoDeps {
  handle<Q, R>(
    method: string,
    work: (request: Q, sandbox: FakeSandbox | undefined) => Promise<R>,
  ): UntypedServiceImplementation[string];
  tell<Message>(
    method: string,
    call: ServerWritableStream<unknown, Message>,
    messages: (sandbox: FakeSandbox, options: Omit<TellOptions, "offset" | "follow">) => AsyncIterable<Message>,
  ): void;
  /** The sandbox that the call's token names. Throws what the call is made to fail with. */
  begin(method: string, call: EventEmitter & { metadata: Metadata }): Promise<FakeSandbox>;
  /** Where servers listen, by their ports in the sandboxes. */
  readonly servers: ReadonlyMap<number, number>;
}

export function ioHandlers({ begin, handle: any, servers, tell }: IoDeps): UntypedServiceImplementation {
  const handle = <Q, R>(method: string, work: (request: Q, sandbox: FakeSandbox) => Promise<R>) =>
    any(method, work as (request: Q, sandbox: FakeSandbox | undefined) => Promise<R>);
  return {
    startExec: handle("startExec", async (request: StartExec, sandbox) => {
      startIn(sandbox, request);
      return {};
    }),
    runExec: (call: ServerWritableStream<RunExecRequest, RunExecResponse>) =>
      tell("runExec", call, (sandbox, options) => {
        startIn(sandbox, { ...call.request, stdin: false });
        return tellAll(processOf(sandbox, call.request.execId), call.request, options);
      }),
    readOutput: (call: ServerWritableStream<ReadOutputRequest, ReadOutputResponse>) =>
      tell("readOutput", call, (sandbox, options) => {
        const { execId, follow, offset, stream } = call.request;
        const process = processOf(sandbox, execId);
        const output = stream === OutputStream.STDOUT ? process.stdout : process.stderr;
        return tellOutput(output, { ...options, offset, follow });
      }),
    writeInput: handle(
      "writeInput",
      async (request: { execId: string; offset: number; data: Buffer; end: boolean }, sandbox) => {
        const process = processOf(sandbox, request.execId);
        process.take(request.offset, request.data, request.end);
        return { acceptedOffset: process.input.length, closed: process.outcome !== undefined };
      },
    ),
    waitExec: handle("waitExec", async (request: { execId: string; waitMs: number }, sandbox) => {
      const process = processOf(sandbox, request.execId);
      await until(() => process.outcome !== undefined, request.waitMs);
      return { outcome: process.outcome };
    }),
    signalExec: handle("signalExec", async (request: { execId: string; signal: string }, sandbox) => {
      processOf(sandbox, request.execId).signal(request.signal);
      return {};
    }),
    listExecs: handle("listExecs", async (_request, sandbox) => ({
      execs: [...sandbox.processes].map(([execId, process]) => ({
        execId,
        command: { argv: [...process.argv] },
        startedAt: sandbox.view.startedAt,
        outcome: process.outcome,
        pty: false,
      })),
    })),
    readFile: (call: ServerWritableStream<ReadFileRequest, ReadFileResponse>) =>
      tell("readFile", call, (sandbox, { endReadsAfter, maxChunkBytes }) =>
        brokenAfter(sandbox.fs.read(call.request, maxChunkBytes), endReadsAfter),
      ),
    writeFile: any("writeFile", async (request: WriteFileRequest, sandbox) => sandbox?.fs.write(request)),
    removeFile: any("removeFile", async ({ path }: RemoveFileRequest, sandbox) => {
      sandbox?.fs.remove(path);
      return {};
    }),
    resizeExec: handle(
      "resizeExec",
      async (request: { execId: string; size: { columns: number; rows: number } }, sandbox) => {
        processOf(sandbox, request.execId).sizes.push(request.size);
        return {};
      },
    ),
    forward: (call: ServerDuplexStream<ForwardRequest, ForwardResponse>) =>
      void carry(call, servers, () => begin("forward", call)),
  };
}

interface StartExec {
  readonly execId: string;
  readonly command?: { argv: string[] } | undefined;
  readonly env: Record<string, string>;
  readonly stdin: boolean;
}

function startIn(sandbox: FakeSandbox, request: StartExec): void {
  if (sandbox.processes.has(request.execId)) return;
  if (sandbox.view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded" });
  const argv = request.command?.argv ?? [];
  if (PROGRAMS[argv[0] ?? ""] === undefined) throw wireError({ code: "InvalidArgument", field: "command" });
  const env = { ...sandbox.request.env, ...request.env };
  sandbox.processes.set(request.execId, new FakeProcess(argv, env, request.stdin));
}

function processOf(sandbox: FakeSandbox, execId: string): FakeProcess {
  const process = sandbox.processes.get(execId);
  if (process === undefined) throw wireError({ code: "NotFound", field: "exec_id" });
  return process;
}
