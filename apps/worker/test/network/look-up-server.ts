// Test program: answers at the resolver's sockets, which its parent program opened in the router's namespace. UDP comes
// back with the peer's address before it; TCP is echoed.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { answerCalls } from "./child.ts";

// Only now, when all is loaded: that user may not be able to read the clone.
const uid = Number(process.argv[2]);
process.setgroups?.([]);
process.setgid?.(uid);
process.setuid?.(uid);

const [udp4, udp6, tcp4, tcp6] = (process.env["SALLYPORT_RESOLVER_SOCKETS"] ?? "").split(",").map(Number);
const heard: string[] = [];
const sockets = await Promise.all(
  [udp4, udp6].map(async (fd, index) => {
    const socket = createSocket(index === 0 ? "udp4" : "udp6");
    socket.on("message", (message, peer) => {
      heard.push(message.toString());
      socket.send(message, peer.port, peer.address);
    });
    const listening = once(socket, "listening"); // emitted by bind itself
    socket.bind({ fd: fd ?? -1 });
    await listening;
    return socket;
  }),
);
for (const fd of [tcp4, tcp6]) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen({ fd: fd ?? -1 });
  await once(server, "listening");
}

answerCalls({
  heard: () => heard,
  interfaces: () => Object.keys(networkInterfaces()),
  user: () => process.getuid?.(),
  /** A datagram that nobody asked for. */
  send: (address: string, port: number, text: string) => {
    sockets[address.includes(":") ? 1 : 0]?.send(text, port, address);
  },
});
