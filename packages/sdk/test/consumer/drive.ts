// A user's program, held by the compiler: driving a sandbox, its streams, its errors, and what the types refuse.
import type {
  ConnectToken,
  ConnectTokenInfo,
  ErrorCode,
  ExitStatus,
  Input,
  Output,
  Process,
  Revocation,
  RunResult,
} from "@sallyport/sdk";
import { SallyportError, Sandbox } from "@sallyport/sdk";

/** The same type, neither wider nor narrower. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Streams are the web's, so that whatever takes those takes these. */
export async function streams(sandbox: Sandbox, process: Process): Promise<void> {
  const output: Output = process.stdout;
  const input: Input = process.stdin;
  for await (const line of output.lines()) text(line);
  for await (const chunk of process.stderr) bytes(chunk);
  await output.from(10, { onGap: ({ from, to }) => count(to - from) }).text();
  await output.pipeThrough(new TransformStream<Uint8Array, Uint8Array>()).pipeTo(new WritableStream<Uint8Array>());
  await input.send("text");
  await input.send(new Uint8Array(1));
  await input.end();
  await sandbox.run(["cat"], { stdin: new Uint8Array(1) });
  await sandbox.run(["cat"], { stdin: process.stdout });
  await process.kill("SIGINT", { timeoutMs: 1_000 });
  await process.resize({ columns: 80, rows: 24 }, { signal: AbortSignal.timeout(1) });
  // @ts-expect-error Standard input takes text and bytes.
  await input.send(7);
  // @ts-expect-error Streams belong to the process.
  process.stdout = output;
}

/** Status and result. */
export async function statuses(sandbox: Sandbox): Promise<void> {
  const result: RunResult = await sandbox.run(["true"], { check: true, lifetimeMs: 1_000, workdir: "/", pty: true });
  const ended: ExitStatus | undefined = await sandbox.poll();
  const status: ExitStatus = result;
  if (status.reason === "oom") text(result.stdout);
  if (ended?.signal !== undefined) text(ended.signal);
  // @ts-expect-error Reasons are a closed set.
  if (status.reason === "killed") text("");
  // @ts-expect-error It may still be running.
  count((await sandbox.poll()).exitCode);
  for await (const one of Sandbox.list({ app: "web" })) text(one.id);
}

/** Requests and WebSockets are the web's. */
export async function connections(sandbox: Sandbox, signal: AbortSignal, port: number | undefined): Promise<void> {
  const token: ConnectToken = await sandbox.createConnectToken({
    userMetadata: { user_id: "foo", roles: ["admin"], none: null } as const,
    port,
    expiresInMs: 60_000,
    embed: true,
    signal,
    timeoutMs: undefined,
  });
  const response: Response = await token.fetch("/items", {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams({ a: "1" }),
    signal,
  });
  text(await response.text());
  const socket: WebSocket = token.webSocket("/live", ["one"]);
  socket.addEventListener("message", (event) => text(String(event.data)));
  socket.send("hello");
  const { staleEdges }: Revocation = await token.revoke({ signal });
  for (const edge of staleEdges) text(edge);
  const known: readonly ConnectTokenInfo[] = await sandbox.connectTokens({ signal });
  for (const { id } of known) await sandbox.revokeConnectToken(id);
  await sandbox.revokeConnectTokens({ timeoutMs: 1 });
  // Any value of JSON, and none at all.
  for (const userMetadata of [null, false, 0, "", [], {}, undefined])
    await sandbox.createConnectToken({ userMetadata });
  // @ts-expect-error A date is no JSON: it would arrive as a text.
  await sandbox.createConnectToken({ userMetadata: { at: new Date() } });
  // @ts-expect-error A function is no JSON.
  await sandbox.createConnectToken({ userMetadata: () => "foo" });
  // @ts-expect-error Undefined is no JSON: it would vanish.
  await sandbox.createConnectToken({ userMetadata: ["foo", undefined] });
  // @ts-expect-error Numbers carry their unit in the name, and are numbers.
  await sandbox.createConnectToken({ expiresInMs: "1h" });
  // @ts-expect-error A token is made by a sandbox; its facts are read, never set.
  token.token = "mine";
  // @ts-expect-error Requests go to the sandbox, by a path.
  await token.fetch(new Request("https://elsewhere.example/"));
}

/** Errors are told apart by code, and the code tells what they carry. */
export function errors(error: unknown): ErrorCode | undefined {
  if (SallyportError.is(error, "ProcessFailed")) {
    const same: Same<typeof error.result, RunResult> = true;
    return same ? error.code : undefined;
  }
  if (SallyportError.is(error, "NotFound")) {
    const code: "NotFound" = error.code;
    const nothing: undefined = error.result;
    return nothing ?? code;
  }
  if (SallyportError.is(error)) {
    const same: Same<typeof error.code, ErrorCode> = true;
    if (error.retryable) count(error.retryAfterMs ?? 0);
    return same ? error.code : undefined;
  }
  // @ts-expect-error Codes are a closed set.
  SallyportError.is(error, "Nope");
  // @ts-expect-error Errors come from the SDK alone.
  new SallyportError("NotFound", "made up", {});
  // @ts-expect-error Not known to be one.
  if (error.code === "NotFound") return "NotFound";
  return undefined;
}

function text(value: string): string {
  return value;
}
function bytes(value: Uint8Array): number {
  return value.length;
}
function count(value: number): number {
  return value;
}
