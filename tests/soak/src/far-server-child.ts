// The process of far-server.ts, inside the target network. Argument: the port.
import { createServer } from "node:net";

const CHUNK = Buffer.alloc(64 * 1_024, "s");

createServer({ noDelay: true }, (socket) => {
  const send = (): void => {
    while (socket.write(CHUNK));
  };
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    if (data.includes("e")) socket.write("e");
    if (!data.includes("s")) return;
    socket.on("drain", send);
    send();
  });
}).listen(Number(process.argv[2]), "::", () => console.log("ready"));
