// Names in sandboxes: whom an open one asks and what it may hear, and that the others are told no at once.

import type { Sandbox as SandboxType } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { MANY } from "./names.ts";
import { newWorkspace } from "./workspace.ts";

const targets = inject("targets");
let client: Awaited<ReturnType<typeof newWorkspace>>["client"];
beforeAll(async () => {
  client = (await newWorkspace("dns")).client;
});

// Each name as programs look names up; one line each: "<name> <addresses, or the error>".
const LOOK_UP = `
import socket, sys
errors = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}
for name in sys.argv[1:]:
    try:
        print(name, *sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80)}))
    except socket.gaierror as error:
        print(name, errors.get(error.errno, error.errno))
`;

/** What look-ups of names give in a sandbox: addresses, or the name of the error. */
async function lookUp(sandbox: SandboxType, ...names: readonly string[]): Promise<Record<string, string[]>> {
  const { stdout } = await sandbox.run(["python3", "-c", LOOK_UP, ...names], { check: true });
  const lines = stdout.trim().split("\n");
  return Object.fromEntries(lines.map((line) => [line.split(" ")[0] ?? "", line.split(" ").slice(1)]));
}

// One plain question over UDP and TCP to the resolver that /etc/resolv.conf names; what comes of each.
const ASK = `
import errno, socket, struct, sys
server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\\6target\\7example\\0" + struct.pack("!2H", 1, 1)
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(10)
    try:
        s.connect((server, 53))
        s.sendall(query if kind == socket.SOCK_DGRAM else struct.pack("!H", len(query)) + query)
        print("answered" if s.recv(512) else "closed")
    except OSError as error:
        print(errno.errorcode.get(error.errno, "timeout"))
`;

async function ask(sandbox: SandboxType): Promise<string[]> {
  return (await sandbox.run(["python3", "-c", ASK], { check: true })).stdout.trim().split("\n");
}

// Questions as fast as they can be sent, each for another name, for half a minute at most.
const FLOOD = `
import socket, struct, time
server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end, n = time.monotonic() + 30, 0
print("flooding", flush=True)
while time.monotonic() < end:
    n += 1
    head = struct.pack("!6H", n & 0xffff, 0x100, 1, 0, 0, 0)
    s.sendto(head + b"\\x08%08d\\7example\\0" % n + struct.pack("!2H", 1, 1), (server, 53))
`;

const TARGET = [targets.insideIpv4, targets.insideIpv6].sort();
const MEANT_FOR_NOBODY = ["EAI_NODATA", "EAI_NONAME"];

describe("an open sandbox", () => {
  it("finds names of the world in both families, and reaches what they mean", async () => {
    await using sandbox = await Sandbox.create({ client });
    expect(await lookUp(sandbox, "target.example", "alias.example", "mixed.example")).toEqual({
      "target.example": TARGET,
      "alias.example": TARGET,
      "mixed.example": [targets.insideIpv4],
    });
    expect((await lookUp(sandbox, "many.example"))["many.example"]).toHaveLength(MANY);
    expect(await lookUp(sandbox, "nobody.example")).toEqual({ "nobody.example": ["EAI_NONAME"] });
    expect(await ask(sandbox)).toEqual(["answered", "answered"]);
    const get = `import socket; print(socket.create_connection(("target.example", ${targets.port}), 10).recv(99).decode())`;
    expect((await sandbox.run(["python3", "-c", get], { check: true })).stdout).toContain("target");
  });

  it("is told of no address where it may not go, whatever name points there", async () => {
    await using sandbox = await Sandbox.create({ client });
    const pointing = ["private", "metadata", "loopback", "machine", "slot", "hidden", "mapped"].map(
      (label) => `${label}.example`,
    );
    const local = ["metadata.google.internal", "printer.local", "x.localhost", "router"];
    const found = await lookUp(sandbox, ...pointing, ...local);
    for (const name of [...pointing, ...local]) expect(MEANT_FOR_NOBODY, name).toContain(found[name]?.join());
    // Its own names are its own.
    expect(await lookUp(sandbox, "localhost")).toEqual({ localhost: ["127.0.0.1", "::1"] });
  });

  it("is answered while another asks without end", async () => {
    await using sandbox = await Sandbox.create({ client });
    await using flooder = await Sandbox.create({ client });
    const flood = await flooder.exec(["python3", "-c", FLOOD]);
    for await (const line of flood.stdout.lines()) {
      expect(line).toBe("flooding");
      break;
    }
    const names = Array.from({ length: 40 }, (_, index) => ["target.example", `host${index}.example`]).flat();
    const { stdout } = await sandbox.run(["python3", "-c", LOOK_UP, ...names], { check: true });
    const lines = stdout.trim().split("\n");
    expect(lines.filter((line) => line === `target.example ${TARGET.join(" ")}`)).toHaveLength(40);
    expect(lines.filter((line) => line.endsWith(" EAI_NONAME"))).toHaveLength(40);
    await flood.kill();
  });
});

describe("a sandbox that may not ask", () => {
  it.each([
    ["blocked", "blocked" as const],
    ["with an allow list", { allow: [targets.allowedIpv4] }],
  ])("is refused, not left waiting: %s", async (_, network) => {
    await using sandbox = await Sandbox.create({ client, network });
    expect(await ask(sandbox)).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
    expect(await lookUp(sandbox, "target.example")).toEqual({ "target.example": ["EAI_AGAIN"] });
  });

  it("follows its policy, open or not", async () => {
    await using sandbox = await Sandbox.create({ client });
    expect(await lookUp(sandbox, "target.example")).toEqual({ "target.example": TARGET });
    await sandbox.updateNetworkPolicy("blocked");
    expect(await ask(sandbox)).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
    expect(await lookUp(sandbox, "target.example")).toEqual({ "target.example": ["EAI_AGAIN"] });
    await sandbox.updateNetworkPolicy("open");
    expect(await lookUp(sandbox, "target.example")).toEqual({ "target.example": TARGET });
  });

  it("asks the resolvers that its create names, where its policy reaches them", async () => {
    const network = { allow: [`${targets.insideIpv4}/32`] };
    await using sandbox = await Sandbox.create({ client, network, dns: [targets.insideIpv4] });
    expect(await lookUp(sandbox, "far.example", "target.example")).toEqual({
      "far.example": [targets.insideIpv4],
      "target.example": ["EAI_NONAME"],
    });
  });
});
