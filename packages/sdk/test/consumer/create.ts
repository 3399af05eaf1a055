// A user's program, held by the compiler: creating sandboxes, and what the types refuse. Compiled against the sources
// here, and by tests/packaging against the published types under every supported TypeScript.
import type { CallOptions, CreateOptions, NetworkPolicy, PortForward, Tunnel } from "@sallyport/sdk";
import { App, Client, Image, Sandbox } from "@sallyport/sdk";

/** The seed's way: an app, a sandbox closed to the network, one command. */
export async function seedStyle(): Promise<string> {
  const app = await App.lookup("my-app", { createIfMissing: true });
  const sandbox = await Sandbox.create(["sleep", "infinity"], { app, blockNetwork: true });
  try {
    const process = await sandbox.exec(["echo", "hello"]);
    return await process.stdout.text();
  } finally {
    await sandbox.terminate();
  }
}

/** The allow list by its two names. */
export async function allowLists(cidrs: readonly string[]): Promise<void> {
  await using byName = await Sandbox.create({ outboundCidrAllowlist: cidrs });
  await using byPolicy = await Sandbox.create({ network: { allow: cidrs } });
  await using frozen = await Sandbox.create({ network: { allow: ["198.51.100.0/24"] } as const });
  await using stated = await Sandbox.create({ blockNetwork: false, outboundCidrAllowlist: cidrs });
  for (const sandbox of [byName, byPolicy, frozen, stated]) id(sandbox.id);
}

/** The seed's way to a port of a sandbox: its number is the key of its tunnel, and no other is one. */
export async function tunnels(ports: readonly number[], maybe: readonly number[] | undefined): Promise<void> {
  const sandbox = await Sandbox.create(["python3", "-m", "http.server", "12345"], {
    encryptedPorts: [12345],
    h2Ports: [4359],
    unencryptedPorts: [22, 5432],
    proxyProtocolPorts: [12345, 22],
    inboundCidrAllowlist: ["198.51.100.0/24"],
  });
  const all = await sandbox.tunnels();
  const tunnel: Tunnel = all[12345];
  id(tunnel.url);
  const [host, port] = tunnel.tlsSocket;
  const raw: readonly [host: string, port: number] | undefined = all[22].tcpSocket;
  const one: Tunnel = await sandbox.tunnel(4359, { timeoutMs: 1_000 });
  id([host, port, raw?.[0], one.host].join());
  // @ts-expect-error A port that was not declared has no tunnel.
  const none: unknown = all[8080];
  // @ts-expect-error A port that was not declared has no tunnel.
  await sandbox.tunnel(8080);
  // @ts-expect-error The PROXY header is for ports that are declared.
  await Sandbox.create({ encryptedPorts: [1], proxyProtocolPorts: [2] });
  id(String(none));
  const closed = await Sandbox.create({ blockNetwork: true });
  // @ts-expect-error None was declared.
  await closed.tunnel(8080);
  // Numbers that only the program knows.
  const dynamic = await Sandbox.create({ encryptedPorts: ports, h2Ports: maybe });
  for (const [number, { url }] of Object.entries(await dynamic.tunnels())) id(`${number} ${url}`);
  // Handles of any ports are handles.
  const handles: Sandbox[] = [sandbox, closed, dynamic, await Sandbox.fromId(sandbox.id)];
  for (const handle of handles) await handle.detach();
  await using forward: PortForward = await dynamic.forward(22, { port: 2222 });
  id(`${forward.host}:${forward.port}`);
}

/** `exactOptionalPropertyTypes` or not: a setting that may be undefined can be passed on as it is. */
export async function passedOn(settings: {
  readonly app: string | undefined;
  readonly cpu: number | undefined;
  readonly env: Record<string, string> | undefined;
  readonly network: NetworkPolicy | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly client: Client | undefined;
}): Promise<void> {
  const { signal, timeoutMs, client } = settings;
  await using sandbox = await Sandbox.create(["true"], settings);
  await sandbox.run(["true"], { signal, timeoutMs, check: undefined, stdin: undefined });
  await sandbox.wait({ signal, timeoutMs });
  await App.lookup("web", { client, signal, createIfMissing: undefined });
  const options: CreateOptions = { ...settings, image: Image.default };
  const call: CallOptions = options;
  await Sandbox.fromId(sandbox.id, call);
}

/** What is long-lived is disposable. */
export async function disposable(): Promise<void> {
  await using client = new Client({ url: "https://sallyport.example", token: "t" });
  await using sandbox = await Sandbox.create({ client });
  const all: AsyncDisposable[] = [client, sandbox];
  await using stack = new AsyncDisposableStack();
  for (const one of all) stack.use(one);
}

/** What the types refuse. */
export async function refused(app: App): Promise<void> {
  // @ts-expect-error Two statements about the network contradict each other.
  await Sandbox.create({ blockNetwork: true, outboundCidrAllowlist: [] });
  // @ts-expect-error One policy, stated once.
  await Sandbox.create({ network: "open", blockNetwork: false });
  // @ts-expect-error One policy, stated once.
  await Sandbox.create({ network: "blocked", outboundCidrAllowlist: ["198.51.100.0/24"] });
  // @ts-expect-error The three modes are a closed set.
  await Sandbox.create({ network: "closed" });
  // @ts-expect-error A command is a list, not a shell line.
  await Sandbox.create("true");
  // @ts-expect-error Options that nobody declared.
  await Sandbox.create({ memoryMib: 256 });
  // @ts-expect-error Numbers carry their unit in the name, and are numbers.
  await Sandbox.create({ lifetimeMs: "1h" });
  // @ts-expect-error Sandboxes are created, not constructed.
  new Sandbox();
  // @ts-expect-error Apps are looked up, not constructed.
  new App("ap-1", "web");
  // @ts-expect-error A handle's facts are read, never set.
  app.name = "other";
}

function id(text: string): string {
  return text;
}
