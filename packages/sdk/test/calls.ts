// Every call of the SDK as a row: how it is made, which method of the wire it is, and whether it bears repetition.
import { EndReason } from "@sallyport/contracts";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import type { FakeProcess } from "@sallyport/testkit/fake-process";
import type { CallOptions, ConnectToken, Process } from "../src/index.ts";
import { App, Client, Sandbox } from "../src/index.ts";

/** A platform with one sandbox and one process, and handles of them. */
export interface World {
  readonly platform: FakePlatform;
  readonly client: Client;
  readonly sandbox: Sandbox;
  readonly process: Process;
  readonly token: ConnectToken;
  /** How the platform sees that process. */
  readonly held: FakeProcess;
}

/** One call. */
export interface Row {
  /** As users write it. */
  readonly name: string;
  /** Its method on the wire. */
  readonly rpc: string;
  call(world: World, options: CallOptions): Promise<unknown>;
  /** Brings about what the call waits for. */
  prepare?(world: World): void;
  /** Whatever the number of attempts, this is how often it was done, or what came of it. */
  readonly effect?: { of(world: World): unknown; readonly is: unknown };
  /** Takes `signal` and `timeoutMs`. Default: true. */
  readonly bounded?: false;
}

export const REPEATED: readonly Row[] = [
  { name: "App.lookup", rpc: "lookupApp", call: ({ client }, options) => App.lookup("web", { client, ...options }) },
  { name: "Client.usage", rpc: "getUsage", call: ({ client }, options) => client.usage(options) },
  {
    name: "Client.localAuthority",
    rpc: "getLocalAuthority",
    call: ({ client }, options) => client.localAuthority(options),
  },
  {
    name: "Sandbox.create",
    rpc: "createSandbox",
    call: ({ client }, options) => Sandbox.create({ client, ...options }),
    effect: { of: ({ platform }) => platform.sandboxes.size, is: 2 },
  },
  {
    name: "Sandbox.fromId",
    rpc: "getSandbox",
    call: ({ client, sandbox }, options) => Sandbox.fromId(sandbox.id, { client, ...options }),
  },
  {
    name: "Sandbox.fromName",
    rpc: "getSandboxByName",
    call: ({ client }, options) => Sandbox.fromName("default", "first", { client, ...options }),
  },
  {
    name: "Sandbox.list",
    rpc: "listSandboxes",
    call: ({ client }, options) => Array.fromAsync(Sandbox.list({ client, ...options })),
  },
  {
    name: "Sandbox.run",
    rpc: "runExec",
    call: ({ sandbox }, options) => sandbox.run(["echo"], options),
    effect: { of: processes, is: 2 },
  },
  {
    name: "Sandbox.exec",
    rpc: "startExec",
    call: ({ sandbox }, options) => sandbox.exec(["echo"], options),
    effect: { of: processes, is: 2 },
  },
  { name: "Sandbox.processes", rpc: "listExecs", call: ({ sandbox }, options) => sandbox.processes(options) },
  {
    name: "a new handle's Sandbox.processes",
    rpc: "getIoAccess",
    call: async ({ client, sandbox }, options) =>
      (await Sandbox.fromId(sandbox.id, { client, ...options })).processes(options),
  },
  {
    name: "Sandbox.setTags",
    rpc: "setSandboxTags",
    call: ({ sandbox }, options) => sandbox.setTags({ a: "b" }, options),
    effect: { of: (world) => view(world)?.tags, is: { a: "b" } },
  },
  {
    name: "Sandbox.updateNetworkPolicy",
    rpc: "updateNetworkPolicy",
    call: ({ sandbox }, options) => sandbox.updateNetworkPolicy("blocked", options),
    effect: { of: (world) => view(world)?.networkGeneration, is: 2 },
  },
  {
    name: "Sandbox.explain",
    rpc: "explainDestination",
    call: ({ sandbox }, options) => sandbox.explain("198.51.100.7:443", options),
  },
  {
    name: "Sandbox.createConnectToken",
    rpc: "createConnectToken",
    call: ({ sandbox }, options) => sandbox.createConnectToken(options),
  },
  {
    name: "Sandbox.connectTokens",
    rpc: "listConnectTokens",
    call: ({ sandbox }, options) => sandbox.connectTokens(options),
  },
  {
    name: "ConnectToken.revoke",
    rpc: "revokeConnectToken",
    call: ({ token }, options) => token.revoke(options),
    effect: { of: revoked, is: 1 },
  },
  {
    name: "Sandbox.revokeConnectToken",
    rpc: "revokeConnectToken",
    call: ({ sandbox, token }, options) => sandbox.revokeConnectToken(token.id, options),
    effect: { of: revoked, is: 1 },
  },
  {
    name: "Sandbox.revokeConnectTokens",
    rpc: "revokeConnectTokens",
    call: ({ sandbox }, options) => sandbox.revokeConnectTokens(options),
    effect: { of: revoked, is: 1 },
  },
  { name: "Sandbox.tunnels", rpc: "listTunnels", call: ({ sandbox }, options) => sandbox.tunnels(options) },
  { name: "Sandbox.tunnel", rpc: "listTunnels", call: ({ sandbox }, options) => sandbox.tunnel(8_443, options) },
  {
    name: "Sandbox.forward",
    rpc: "getIoAccess",
    call: async ({ client, sandbox }, options) => {
      await using forward = await (await Sandbox.fromId(sandbox.id, { client, ...options })).forward(8_080, options);
      return forward.port;
    },
  },
  {
    name: "Sandbox.sleep",
    rpc: "sleepSandbox",
    call: ({ sandbox }, options) => sandbox.sleep(options),
    effect: { of: (world) => view(world)?.asleep, is: true },
  },
  {
    name: "Sandbox.wake",
    rpc: "wakeSandbox",
    call: ({ sandbox }, options) => sandbox.wake(options),
    effect: { of: (world) => view(world)?.asleep, is: false },
  },
  {
    name: "Sandbox.events",
    rpc: "watchSandboxEvents",
    call: ({ sandbox }, options) => Array.fromAsync(sandbox.events(options)),
  },
  { name: "Sandbox.poll", rpc: "getSandbox", call: ({ sandbox }, options) => sandbox.poll(options) },
  {
    name: "Sandbox.wait",
    rpc: "waitSandbox",
    prepare: ({ platform, sandbox }) =>
      platform.sandboxes.get(sandbox.id)?.end({ reason: EndReason.EXITED, exitCode: 0 }),
    call: ({ sandbox }, options) => sandbox.wait(options),
  },
  {
    name: "Sandbox.terminate",
    rpc: "terminateSandbox",
    call: ({ sandbox }, options) => sandbox.terminate(options),
    effect: { of: (world) => view(world)?.outcome?.exitCode, is: 137 },
  },
  {
    name: "Sandbox.resize",
    rpc: "resizeExec",
    call: async ({ client }, options) => {
      const own = await Sandbox.create(["sleep"], { client, pty: true });
      await own.resize({ columns: 90, rows: 30 }, options);
    },
  },
  {
    name: "Process.resize",
    rpc: "resizeExec",
    call: ({ process }, options) => process.resize({ columns: 90, rows: 30 }, options),
    effect: { of: ({ held }) => held.sizes.at(-1), is: { columns: 90, rows: 30 } },
  },
  {
    name: "Process.wait",
    rpc: "waitExec",
    prepare: ({ held }) => held.exit(0),
    call: ({ process }, options) => process.wait(options),
  },
  { name: "Process.poll", rpc: "waitExec", call: ({ process }, options) => process.poll(options) },
  {
    name: 'Process.kill("SIGKILL")',
    rpc: "signalExec",
    call: ({ process }, options) => process.kill("SIGKILL", options),
    effect: { of: ({ held }) => held.signals, is: ["SIGKILL"] },
  },
  {
    name: "FileSystem.write",
    rpc: "writeFile",
    call: ({ sandbox }, options) => sandbox.fs.write("/srv/a", "once", options),
    effect: { of: (world) => fileOf(world)?.toString(), is: "once" },
  },
  {
    name: "FileSystem.readText",
    rpc: "readFile",
    prepare: ({ platform, sandbox }) => platform.sandboxes.get(sandbox.id)?.fs.set("/srv/a", Buffer.from("kept")),
    call: ({ sandbox }, options) => sandbox.fs.readText("/srv/a", options),
  },
  {
    name: "FileSystem.remove",
    rpc: "removeFile",
    prepare: ({ platform, sandbox }) => platform.sandboxes.get(sandbox.id)?.fs.set("/srv/a", Buffer.from("kept")),
    call: ({ sandbox }, options) => sandbox.fs.remove("/srv/a", options),
    effect: { of: fileOf, is: undefined },
  },
  {
    name: "Input.send",
    rpc: "writeInput",
    call: ({ process }) => process.stdin.send("once"),
    effect: { of: ({ held }) => held.input.toString(), is: "once" },
    bounded: false,
  },
  {
    name: "Input.end",
    rpc: "writeInput",
    call: ({ process }) => process.stdin.end(),
    effect: { of: ({ held }) => held.inputEnded, is: true },
    bounded: false,
  },
  {
    name: "Output.text",
    rpc: "readOutput",
    prepare: ({ held }) => {
      held.stdout.write("kept");
      held.exit(0);
    },
    call: ({ process }) => process.stdout.text(),
    bounded: false,
  },
];

/** Sent at most once: a second one would be another deed. */
export const ONCE: readonly Row[] = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGSTOP", "SIGCONT"].map((signal) => ({
  name: `Process.kill("${signal}")`,
  rpc: "signalExec",
  call: ({ process }, options) => process.kill(signal, options),
}));

/** A world of one's own. Its calls so far are forgotten. */
export async function makeWorld(): Promise<World> {
  const platform = await FakePlatform.start();
  const client = new Client({ url: platform.apiUrl, token: platform.token });
  const sandbox = await Sandbox.create({ client, name: "first", encryptedPorts: [8_443] });
  const process = await sandbox.exec(["sleep"], { pty: true });
  const held = platform.sandboxes.get(sandbox.id)?.processes.get(process.id);
  if (held === undefined) throw new Error("the platform does not hold the process");
  const token = await sandbox.createConnectToken();
  platform.calls.length = 0;
  return { platform, client, sandbox, process, held, token };
}

export async function endWorld({ platform, client }: World): Promise<void> {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
}

/** How often a method was called. */
export function callsOf({ platform }: World, rpc: string): number {
  return platform.calls.filter((call) => call === rpc).length;
}

function processes(world: World): number | undefined {
  return world.platform.sandboxes.get(world.sandbox.id)?.processes.size;
}

function revoked({ platform }: World): number {
  return platform.connect.issued.filter(({ revokedAt }) => revokedAt !== undefined).length;
}

function fileOf({ platform, sandbox }: World): Buffer | undefined {
  return platform.sandboxes.get(sandbox.id)?.fs.files.get("/srv/a")?.data;
}

function view({ platform, sandbox }: World) {
  return platform.sandboxes.get(sandbox.id)?.view;
}
