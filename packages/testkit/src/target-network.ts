// Hosts for sandboxes to reach or not to reach: a network namespace beside the machine, linked by a veth, with several
// addresses of both families and servers on them. Documentation ranges (RFC 5737, RFC 3849), so nothing real is met.
import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Where the servers are. TCP and UDP port {@link TargetNetwork.port} of every address answers its own address. */
export interface TargetNetwork extends AsyncDisposable {
  readonly namespace: string;
  /** Two addresses inside {@link allowedIpv4}, then one outside. */
  readonly insideIpv4: string;
  readonly outsideIpv4: string;
  readonly allowedIpv4: string;
  readonly insideIpv6: string;
  readonly outsideIpv6: string;
  readonly allowedIpv6: string;
  /** The machine's own addresses on this link: never reachable. */
  readonly hostIpv4: string;
  readonly hostIpv6: string;
  readonly port: number;
}

const PORT = 8_099;

const SERVER = `
const net = require("node:net"), dgram = require("node:dgram");
const plain = (address) => address.replace(/^::ffff:/, "");
net.createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.end("target " + plain(socket.localAddress) + "\\n");
}).listen(${PORT}, "::", () => console.log("ready"));
// One socket per address: a wildcard socket answers from whichever address the kernel prefers.
for (const address of process.argv.slice(1)) {
  const udp = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (message, peer) => udp.send("target", peer.port, peer.address));
  udp.bind(${PORT}, address);
}
`;

/** Makes the namespace and its servers. Needs root. Disposal removes everything. */
export async function startTargetNetwork(): Promise<TargetNetwork> {
  const tag = randomBytes(3).toString("hex");
  const namespace = `spt-${tag}`;
  const link = `spt${tag}`;
  const hostIpv4 = "198.51.100.1";
  const hostIpv6 = "2001:db8:51::1";
  const addresses = {
    insideIpv4: "198.51.100.10",
    outsideIpv4: "198.51.100.200",
    insideIpv6: "2001:db8:51::10",
    outsideIpv6: "2001:db8:51::f000:1",
  };
  let server: ChildProcess | undefined;
  let isLinked = false;
  const dispose = async () => {
    if (server !== undefined && server.exitCode === null && server.signalCode === null) {
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    }
    // By name: the kernel keeps the namespace, and in it the link, while a cut connection waits for its last answer.
    if (isLinked) ip(["link", "del", link]);
    ip(["netns", "del", namespace]);
  };
  ip(["netns", "add", namespace]);
  try {
    ip(["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
    isLinked = true;
    ip(["addr", "add", `${hostIpv4}/24`, "dev", link]);
    ip(["addr", "add", `${hostIpv6}/64`, "dev", link, "nodad"]);
    ip(["link", "set", link, "up"]);
    const inside = (args: string[]) => ip(["-n", namespace, ...args]);
    inside(["link", "set", "lo", "up"]);
    inside(["link", "set", "eth0", "up"]);
    for (const address of [addresses.insideIpv4, addresses.outsideIpv4]) {
      inside(["addr", "add", `${address}/24`, "dev", "eth0"]);
    }
    for (const address of [addresses.insideIpv6, addresses.outsideIpv6]) {
      inside(["addr", "add", `${address}/64`, "dev", "eth0", "nodad"]);
    }
    server = spawn(
      "nsenter",
      [`--net=/run/netns/${namespace}`, process.execPath, "-e", SERVER, ...Object.values(addresses)],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    await firstLine(server);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    namespace,
    ...addresses,
    allowedIpv4: "198.51.100.0/28",
    allowedIpv6: "2001:db8:51::/112",
    hostIpv4,
    hostIpv6,
    port: PORT,
    [Symbol.asyncDispose]: dispose,
  };
}

function ip(args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

async function firstLine(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error("no stdout");
  const lines = createInterface(child.stdout);
  const ended = once(child, "exit").then(() => {
    throw new Error("the target server ended before it was ready");
  });
  await Promise.race([once(lines, "line"), ended]);
}
