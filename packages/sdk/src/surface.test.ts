// The public types, held by the compiler: what users may write, and what they may not.
import { describe, expectTypeOf, it } from "vitest";
import type {
  AllowRule,
  CallOptions,
  ConnectToken,
  ConnectTokenOptions,
  CreateOptions,
  ErrorCode,
  ExitStatus,
  Explanation,
  ForwardOptions,
  Json,
  LocalAuthority,
  Output,
  PortForward,
  Process,
  Revocation,
  RunResult,
  Tunnel,
} from "./index.ts";
import { App, Client, Image, SallyportError, Sandbox } from "./index.ts";

/** Never called: it only has to compile. */
async function userProgram(maybe: number | undefined, signal: AbortSignal): Promise<void> {
  await using client = new Client({ url: "https://h", token: "t" });
  const app = await App.lookup("web", { createIfMissing: true, client });
  await using sandbox = await Sandbox.create(["sh", "-c", "true"] as const, {
    app,
    image: Image.default,
    network: {
      allow: ["198.51.100.0/24", { cidr: "2001:db8::/32", protocol: "tcp", ports: [443, [8_000, 8_100]] }] as const,
    },
    dns: ["198.51.100.53"] as const,
    cpu: maybe,
    timeoutMs: maybe,
    signal,
    pty: true,
  });
  await Sandbox.create({ name: "db", tags: { a: "1" }, idleTimeoutMs: 1, sleepAfterMs: maybe, diskMiB: maybe });
  await Sandbox.fromName(app, "db", { signal, timeoutMs: 1 });
  for await (const one of Sandbox.list({ app: "web", tags: { a: "1" }, signal })) await one.detach();
  await sandbox.setTags({ a: "1" }, { signal });
  await sandbox.sleep({ timeoutMs: 1 });
  await sandbox.wake({ signal });
  for await (const event of sandbox.events({ follow: true, signal, timeoutMs: maybe })) {
    expectTypeOf(event.at).toEqualTypeOf<Date>();
    expectTypeOf(event.detail).toEqualTypeOf<Json>();
  }
  const token = await sandbox.createConnectToken({ userMetadata: ["a", { b: null }], port: maybe, signal });
  expectTypeOf(await token.fetch("/")).toEqualTypeOf<Response>();
  expectTypeOf(token.webSocket("/")).toEqualTypeOf<WebSocket>();
  // @ts-expect-error What JSON cannot say.
  await sandbox.createConnectToken({ userMetadata: { at: new Date() } });
  await sandbox.updateNetworkPolicy("blocked", { signal, timeoutMs: maybe });
  await sandbox.updateNetworkPolicy({ allow: [{ cidr: "198.51.100.0/24", ports: [53] }, "2001:db8::/32"] });
  const { allowed, rule, why, hint } = await sandbox.explain("198.51.100.7:443", { signal });
  expectTypeOf({ allowed, rule, why, hint }).toEqualTypeOf<{
    allowed: boolean;
    rule: string;
    why: string;
    hint: string;
  }>();
  // @ts-expect-error Ports are in a list.
  await sandbox.updateNetworkPolicy({ allow: [{ cidr: "198.51.100.0/24", ports: 443 }] });
  // @ts-expect-error A protocol is one of three.
  await sandbox.updateNetworkPolicy({ allow: [{ cidr: "198.51.100.0/24", protocol: "gre" }] });
  // @ts-expect-error A rule is about a CIDR.
  await sandbox.updateNetworkPolicy({ allow: [{ ports: [443] }] });
  // @ts-expect-error The seed's list holds texts.
  await Sandbox.create({ outboundCidrAllowlist: [{ cidr: "198.51.100.0/24" }] });
  // @ts-expect-error A tag is a text.
  await sandbox.setTags({ a: 1 });
  await Sandbox.create({ blockNetwork: true });
  await Sandbox.create({ blockNetwork: false, outboundCidrAllowlist: ["2001:db8::/32"] });
  await Sandbox.create();
  const open = await Sandbox.create({ encryptedPorts: [8_000, 8_001], h2Ports: [8_002], unencryptedPorts: [22] });
  expectTypeOf(open).toEqualTypeOf<Sandbox<22 | 8_000 | 8_001 | 8_002>>();
  const tunnels = await open.tunnels({ signal, timeoutMs: maybe });
  expectTypeOf(tunnels[22]).toEqualTypeOf<Tunnel>();
  expectTypeOf(tunnels[8_001].tcpSocket).toEqualTypeOf<readonly [host: string, port: number] | undefined>();
  expectTypeOf(await open.tunnel(8_002)).toEqualTypeOf<Tunnel>();
  // @ts-expect-error A port that was not declared has no tunnel.
  tunnels[9_000] satisfies Tunnel;
  // @ts-expect-error A port that was not declared has no tunnel.
  await open.tunnel(9_000);
  // @ts-expect-error None was declared.
  await sandbox.tunnel(8_000);
  // @ts-expect-error The PROXY header is for ports that are declared.
  await Sandbox.create({ encryptedPorts: [8_000], proxyProtocolPorts: [8_001] });
  // @ts-expect-error Ports are in a list.
  await Sandbox.create({ encryptedPorts: 8_000 });
  const byId = await Sandbox.fromId(open.id);
  expectTypeOf((await byId.tunnels())[9_000]).toEqualTypeOf<Tunnel | undefined>();
  await byId.tunnel(9_000);
  const every: Sandbox[] = [open, sandbox, byId];
  await every[0]?.terminate();
  await using forward = await open.forward(9_000, { host: "::1", port: maybe, signal, onError: ({ code }) => code });
  expectTypeOf(forward).toEqualTypeOf<PortForward>();
  // @ts-expect-error Two statements about the network contradict each other.
  await Sandbox.create({ blockNetwork: true, outboundCidrAllowlist: [] });
  // @ts-expect-error One policy, stated once.
  await Sandbox.create({ network: "open", blockNetwork: false });
  // @ts-expect-error A command is a list, not a shell line.
  await Sandbox.create("true");
  // @ts-expect-error Sandboxes are created, not constructed.
  new Sandbox();
  // @ts-expect-error Codes are a closed set.
  SallyportError.is(undefined, "Nope");
  for await (const line of sandbox.stdout.lines()) expectTypeOf(line).toEqualTypeOf<string>();
  await sandbox.stdin.send(new Uint8Array(1));
  await sandbox.stdout.pipeTo(new WritableStream<Uint8Array>());
  try {
    await sandbox.run(["true"], { check: true });
  } catch (error) {
    if (SallyportError.is(error, "ProcessFailed")) expectTypeOf(error.result).toEqualTypeOf<RunResult>();
    if (SallyportError.is(error, "NotFound")) expectTypeOf(error.result).toEqualTypeOf<undefined>();
    if (SallyportError.is(error)) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
  }
}

describe("the types", () => {
  it("are as documented", () => {
    expectTypeOf(userProgram).returns.resolves.toBeVoid();
    expectTypeOf<Sandbox["run"]>().returns.resolves.toEqualTypeOf<RunResult>();
    expectTypeOf<Sandbox["exec"]>().returns.resolves.toEqualTypeOf<Process>();
    expectTypeOf<Sandbox["poll"]>().returns.resolves.toEqualTypeOf<ExitStatus | undefined>();
    expectTypeOf<Output>().toExtend<ReadableStream<Uint8Array>>();
    expectTypeOf<Sandbox>().toExtend<AsyncDisposable>();
    expectTypeOf<CreateOptions>().toExtend<CallOptions>();
    expectTypeOf<Sandbox["explain"]>().returns.resolves.toEqualTypeOf<Explanation>();
    expectTypeOf<AllowRule["protocol"]>().toEqualTypeOf<"tcp" | "udp" | "icmp" | undefined>();
    expectTypeOf<Sandbox["createConnectToken"]>().returns.resolves.toEqualTypeOf<ConnectToken>();
    expectTypeOf<ConnectTokenOptions>().toExtend<CallOptions>();
    expectTypeOf<ForwardOptions>().toExtend<CallOptions>();
    expectTypeOf<PortForward>().toExtend<AsyncDisposable>();
    expectTypeOf<ConnectToken["revoke"]>().returns.resolves.toEqualTypeOf<Revocation>();
    expectTypeOf<Client["localAuthority"]>().returns.resolves.toEqualTypeOf<LocalAuthority>();
    expectTypeOf<SallyportError<"NotFound">>().toExtend<SallyportError>();
  });
});
