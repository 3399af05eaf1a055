// The calls of the SDK that a gateway answers, as rows for bad input: which option each field of proto/ is.
import type { CallOptions, ExecOptions, PtySize, Sandbox } from "@sallyport/sdk";
import type { SdkCall, TypedRequest } from "@sallyport/testkit/bad-input";

/** A sandbox, and a process in it that reads its input. */
export interface IoWorld {
  readonly sandbox: Sandbox;
  readonly processId: string;
}

const SERVICE = "/sallyport.v1.SandboxIO";
const SDK = "made by the SDK";
const LIMITS: CallOptions = { timeoutMs: 2_000 };

const EXEC_OPTIONS: SdkCall["options"] = {
  command: "command",
  env: "env",
  workdir: "workdir",
  pty: "pty",
  lifetime_ms: "lifetimeMs",
};

export function ioCalls({ sandbox, processId }: IoWorld): readonly SdkCall[] {
  // Its input goes on from where one handle was.
  const kept = sandbox.process(processId);
  const process = (id: unknown) => (id === processId ? kept : sandbox.process(id as string));
  let serial = 0;
  const nextSerial = () => {
    serial += 1;
    return serial;
  };
  return [
    {
      name: "Sandbox.exec",
      method: `${SERVICE}/StartExec`,
      options: EXEC_OPTIONS,
      own: { exec_id: SDK, stdin: "is always open" },
      base: () => ({ command: { argv: ["true"] } }),
      send: (request) => sandbox.exec(commandOf(request), execOptions(request)),
    },
    {
      name: "Sandbox.run",
      method: `${SERVICE}/RunExec`,
      options: EXEC_OPTIONS,
      own: { exec_id: SDK, stdout_offset: SDK, stderr_offset: SDK },
      base: () => ({ command: { argv: ["true"] } }),
      send: (request) => sandbox.run(commandOf(request), execOptions(request)),
    },
    {
      name: "Output.from",
      method: `${SERVICE}/ReadOutput`,
      options: { exec_id: "id", offset: "offset", follow: "follow" },
      own: { stream: "one of two properties" },
      base: () => ({ execId: processId, offset: 0, follow: false }),
      send: ({ execId, offset, follow }) => {
        const { stdout } = process(execId);
        return firstOf(stdout.from(offset as number, { follow: follow === true ? false : (follow as boolean) }));
      },
    },
    {
      name: "Input.send",
      method: `${SERVICE}/WriteInput`,
      options: { exec_id: "id", data: "data" },
      own: { offset: SDK, end: "a call of its own" },
      base: () => ({ execId: processId, data: new Uint8Array(1) }),
      send: ({ execId, data }) => process(execId).stdin.send(data as Uint8Array),
    },
    {
      name: "Process.wait",
      method: `${SERVICE}/WaitExec`,
      options: { exec_id: "id" },
      own: { wait_ms: SDK },
      base: () => ({ execId: processId }),
      send: ({ execId }) => process(execId).wait({ timeoutMs: 200 }),
    },
    {
      name: "Process.kill",
      method: `${SERVICE}/SignalExec`,
      options: { exec_id: "id", signal: "signal" },
      own: {},
      base: () => ({ execId: processId, signal: "SIGCONT" }),
      send: ({ execId, signal }) => process(execId).kill(signal as string, LIMITS),
    },
    {
      name: "Process.resize",
      method: `${SERVICE}/ResizeExec`,
      options: { exec_id: "id", size: "size" },
      own: {},
      base: () => ({ execId: processId, size: { columns: 80, rows: 24 } }),
      send: ({ execId, size }) => process(execId).resize(size as PtySize, LIMITS),
    },
    {
      name: "Sandbox.processes",
      method: `${SERVICE}/ListExecs`,
      options: {},
      own: {},
      base: () => ({}),
      send: () => Promise.resolve(),
    },
    {
      name: "FileSystem.write",
      method: `${SERVICE}/WriteFile`,
      options: { path: "path", data: "data", mode: "mode" },
      own: { write_id: SDK, offset: SDK, end: SDK },
      base: () => ({ path: `/tmp/odd-${nextSerial()}`, data: new Uint8Array(1) }),
      send: ({ path, data, ...rest }) => sandbox.fs.write(path as string, data as Uint8Array, { ...LIMITS, ...rest }),
    },
    ...(
      [
        ["FileSystem.read", "ReadFile", (path) => sandbox.fs.read(path, LIMITS)],
        ["FileSystem.list", "ListFiles", (path) => sandbox.fs.list(path, LIMITS)],
        ["FileSystem.stat", "StatFile", (path) => sandbox.fs.stat(path, LIMITS)],
        ["FileSystem.mkdir", "MakeDirectory", (path, rest) => sandbox.fs.mkdir(path, { ...LIMITS, ...rest })],
        ["FileSystem.remove", "RemoveFile", (path, rest) => sandbox.fs.remove(path, { ...LIMITS, ...rest })],
      ] satisfies [string, string, (path: string, rest: TypedRequest) => Promise<unknown>][]
    ).map(([name, method, call]): SdkCall => {
      const isTree = method === "MakeDirectory" || method === "RemoveFile";
      return {
        name,
        method: `${SERVICE}/${method}`,
        options: isTree ? { path: "path", recursive: "recursive" } : { path: "path" },
        own: method === "ReadFile" ? { offset: SDK, length: SDK } : {},
        base: () => ({ path: "/tmp/odd" }),
        send: ({ path, ...rest }) => call(path as string, rest),
      };
    }),
  ];
}

function commandOf({ command }: TypedRequest): readonly string[] {
  const isWhole = typeof command === "object" && command !== null && "argv" in command;
  return (isWhole ? command.argv : command) as readonly string[];
}

function execOptions(request: TypedRequest): ExecOptions {
  const { command: _, ...rest } = request;
  return { ...LIMITS, ...rest };
}

async function firstOf(stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of stream) return;
}
