// A user's program, held by the compiler: creating sandboxes, and what the types refuse. Compiled against the sources
// here, and by tests/packaging against the published types under every supported TypeScript.
import type { CallOptions, CreateOptions, NetworkPolicy } from "@sallyport/sdk";
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
