// A process of far-server.ts, inside the target network. Arguments: the ports with commas between, then the addresses.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const TICK_MS = 20;
const [portList = "", ...addresses] = process.argv.slice(2);
const ports = portList.split(",").map(Number);
/** Units received: bytes of TCP, datagrams of UDP. */
const received: Record<string, number> = { tcp4: 0, tcp6: 0, udp4: 0, udp6: 0 };

function count(flow: string, units: number): void {
  received[flow] = (received[flow] ?? 0) + units;
}

async function listenTcp(port: number): Promise<void> {
  const server = createServer((socket) => {
    const flow = socket.remoteAddress?.startsWith("::ffff:") === true ? "tcp4" : "tcp6";
    const ticking = setInterval(() => socket.write("t"), TICK_MS);
    socket.write("t");
    socket.on("data", (data) => count(flow, data.length));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => clearInterval(ticking));
  });
  await new Promise<void>((resolve) => server.listen(port, "::", resolve));
}

/** A socket to an address: one for all would answer from whichever address the kernel prefers. */
async function listenUdp(port: number, address: string): Promise<void> {
  const flow = address.includes(":") ? "udp6" : "udp4";
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const peers = new Map<string, { port: number; address: string }>();
  const tick = (peer: { port: number; address: string }) => socket.send("t", peer.port, peer.address, () => undefined);
  socket.on("error", () => undefined);
  socket.on("message", (_, peer) => {
    count(flow, 1);
    const key = `${peer.address} ${peer.port}`;
    if (peers.has(key)) return;
    peers.set(key, peer);
    tick(peer);
  });
  setInterval(() => {
    for (const peer of peers.values()) tick(peer);
  }, TICK_MS);
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
}

for (const port of ports) {
  await listenTcp(port);
  for (const address of addresses) await listenUdp(port, address);
}
console.log("ready");
// A line asks for a line.
createInterface(process.stdin)
  .on("line", () => console.log(JSON.stringify(received)))
  .on("close", () => process.exit());
