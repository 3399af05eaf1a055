// A listener that is handed over accepts from then on: who comes before we serve waits, and is not left hanging.
import type { Server, Socket } from "node:net";

/** Beyond, whoever comes is cut off. */
const MAX_HELD = 1_024;

export interface HeldConnections {
  /** Gives them to whoever listens by now. */
  release(): void;
}

export function holdConnections(listeners: readonly Server[]): HeldConnections {
  const held: (readonly [listener: Server, socket: Socket])[] = [];
  const holders = listeners.map((listener) => {
    const hold = (socket: Socket) => {
      if (held.length < MAX_HELD) held.push([listener, socket]);
      else socket.destroy();
    };
    listener.on("connection", hold);
    return () => listener.off("connection", hold);
  });
  return {
    release() {
      for (const letGo of holders) letGo();
      for (const [listener, socket] of held) {
        if (!socket.destroyed) listener.emit("connection", socket);
      }
    },
  };
}
