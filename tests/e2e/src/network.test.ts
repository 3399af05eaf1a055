// The network policy of a sandbox against real packets: targets of both families in a namespace beside the machine.

import type { CreateOptions } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const targets = inject("targets");
let client: Awaited<ReturnType<typeof newWorkspace>>["client"];
beforeAll(async () => {
  client = (await newWorkspace("network")).client;
});

// Tries all destinations at once; one line each: "<kind> <address> <answer or why not>".
const PROBE = `
import socket, sys, threading
def attempt(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        s.settimeout(2)
        s.connect((address, int(port)))
        if kind == "udp": s.send(b"hello")
        return s.recv(100).decode().strip()
    except Exception as error:
        return "no: " + type(error).__name__
def report(kind, address, port):
    answer = attempt(kind, address, port)
    print(kind, address, answer, flush=True)
threads = [threading.Thread(target=report, args=word.split(",")) for word in sys.argv[1:]]
[t.start() for t in threads]
[t.join() for t in threads]
`;

type Destination = readonly [kind: "tcp" | "udp", address: string, port?: number];

/** Which of the destinations answer a sandbox with these options. */
async function reached(options: CreateOptions, destinations: readonly Destination[]): Promise<Set<string>> {
  await using sandbox = await Sandbox.create({ ...options, client });
  return await reachedFrom(sandbox, destinations);
}

async function reachedFrom(sandbox: Sandbox, destinations: readonly Destination[]): Promise<Set<string>> {
  const words = destinations.map(([kind, address, port]) => `${kind},${address},${port ?? targets.port}`);
  const { stdout } = await sandbox.run(["python3", "-c", PROBE, ...words], { check: true });
  const lines = stdout.trim().split("\n");
  expect(lines).toHaveLength(destinations.length);
  return new Set(lines.filter((line) => !line.includes(" no: ")).map((line) => line.split(" ").slice(0, 2).join(" ")));
}

const ALL: readonly Destination[] = [
  ["tcp", targets.insideIpv4],
  ["tcp", targets.outsideIpv4],
  ["tcp", targets.insideIpv6],
  ["tcp", targets.outsideIpv6],
  ["udp", targets.insideIpv4],
  ["udp", targets.outsideIpv4],
  ["udp", targets.insideIpv6],
  ["udp", targets.outsideIpv6],
];

describe("the network policy", () => {
  it("open reaches every public target, IPv4 and IPv6, TCP and UDP", async () => {
    expect(await reached({ network: "open" }, ALL)).toEqual(new Set(ALL.map((one) => one.join(" "))));
  });

  it("open is the default", async () => {
    expect(await reached({}, ALL)).toHaveLength(ALL.length);
  });

  it("blockNetwork lets nothing out", async () => {
    expect(await reached({ blockNetwork: true }, ALL)).toEqual(new Set());
  });

  it("an allow list lets exactly its CIDRs out", async () => {
    const outboundCidrAllowlist = [targets.allowedIpv4, targets.allowedIpv6];
    const inside = ALL.filter(([, address]) => [targets.insideIpv4, targets.insideIpv6].includes(address));
    expect(await reached({ outboundCidrAllowlist }, ALL)).toEqual(new Set(inside.map((one) => one.join(" "))));
  });

  it("an allow list of one family opens nothing of the other", async () => {
    const allowed = await reached({ network: { allow: [targets.allowedIpv6] } }, ALL);
    expect(allowed).toEqual(new Set([`tcp ${targets.insideIpv6}`, `udp ${targets.insideIpv6}`]));
  });

  it("an empty allow list lets nothing out", async () => {
    expect(await reached({ outboundCidrAllowlist: [] }, ALL)).toEqual(new Set());
  });

  it("the host is never reachable, by any of its addresses", async () => {
    const apiPort = Number(new URL(inject("apiUrl")).port);
    const open: CreateOptions = { network: "open" };
    const destinations: Destination[] = [
      ["tcp", targets.hostIpv4, apiPort],
      ["tcp", targets.hostIpv6, apiPort],
      ["tcp", "127.0.0.1", apiPort],
      ["tcp", "169.254.169.254", 80],
    ];
    expect(await reached(open, destinations)).toEqual(new Set());
    const everything: CreateOptions = { network: { allow: ["0.0.0.0/0", "::/0"] } };
    expect(await reached(everything, destinations)).toEqual(new Set());
  });

  it("another sandbox is never reachable", async () => {
    await using server = await Sandbox.create(["python3", "-m", "http.server", "--bind", "::", "8080"], { client });
    const own =
      "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('198.51.100.10', 9)); print(s.getsockname()[0])";
    const own6 = own.replace("AF_INET,", "AF_INET6,").replace("198.51.100.10", "2001:db8:51::10");
    const address = (await server.run(["python3", "-c", own], { check: true })).stdout.trim();
    const address6 = (await server.run(["python3", "-c", own6], { check: true })).stdout.trim();
    expect(await reachedFrom(server, [["tcp", address, 22]])).toEqual(new Set()); // the address is its own: nothing listens at 22
    const listening =
      'for i in 1 2 3 4 5 6 7 8 9; do curl -s -o /dev/null "http://127.0.0.1:8080/" && exit 0; sleep 0.3; done; exit 1';
    await server.run(["sh", "-c", listening], { check: true });
    await using neighbour = await Sandbox.create({ client, network: "open" });
    expect(
      await reachedFrom(neighbour, [
        ["tcp", address, 8080],
        ["tcp", address6, 8080],
      ]),
    ).toEqual(new Set());
  });

  it("a sandbox that lets nothing out is still driven from outside", async () => {
    await using sandbox = await Sandbox.create({ client, network: "blocked" });
    expect((await sandbox.run(["echo", "still here"])).stdout).toBe("still here\n");
  });
});
