// A child of a supervisor: greets whoever comes with its pid, and goes on with whom it greeted when it is told to stop.
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { runMain } from "@sallyport/appkit/lifecycle";

await runMain({
  name: "greeter",
  logLevel: "error",
  async start({ listener }) {
    const servers = await Promise.all((process.env["NAMES"] ?? "").split(",").map(listener));
    if (existsSync(process.env["BROKEN"] ?? "")) throw new Error("broken");
    const open = new Set<Socket>();
    for (const server of servers) {
      server.on("connection", (socket) => {
        open.add(socket);
        socket.on("close", () => open.delete(socket));
        socket.write(`${process.pid}\n`);
        socket.on("data", (chunk) => socket.end(chunk));
      });
    }
    return {
      async [Symbol.asyncDispose]() {
        for (const server of servers) server.close();
        await Promise.all([...open].map((socket) => once(socket, "close")));
      },
    };
  },
});
