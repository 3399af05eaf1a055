// Look-ups over UDP, at sockets that are bound already.

import type { Socket } from "node:dgram";
import type { Logger } from "@sallyport/appkit/logger";
import { UDP_BYTES } from "./message/wire.ts";
import type { Resolver } from "./resolver.ts";

/** Answers at one socket until disposal, which closes it. */
export function serveUdp(socket: Socket, resolver: Resolver, logger: Logger): AsyncDisposable {
  let closed = false;
  socket.on("message", (message, peer) => {
    // A query has a name of at most 255 bytes and options; what is longer is none.
    if (message.length > UDP_BYTES) return;
    void resolver.answer(message, peer.address, "udp").then((answer) => {
      if (answer === undefined || closed) return;
      socket.send(answer, peer.port, peer.address, (error) => {
        // Whoever asked is gone, or its slot may no longer ask.
        if (error !== null) logger.debug({ err: error }, "an answer could not be sent");
      });
    });
  });
  socket.on("error", (error) => logger.warn({ err: error }, "socket of look-ups"));
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        closed = true;
        socket.close(resolve);
      }),
  };
}
