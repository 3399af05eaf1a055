// Reads an HTTP head off a socket, byte-exact: what lies behind it stays in the socket for whoever reads next.
import type { Socket } from "node:net";

/**
 * The text before the first empty line (latin1, CRLF between lines). The socket is paused, with the rest of its bytes
 * put back. Undefined when the peer closes first or sends more than `maxBytes` of head. Rejects with the signal's
 * reason; the socket is left to the caller, and needs an "error" listener of the caller's.
 */
export function readHead(socket: Socket, maxBytes: number, signal: AbortSignal): Promise<string | undefined> {
  const done = Promise.withResolvers<string | undefined>();
  let received = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    const searchFrom = Math.max(0, received.length - 3);
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf("\r\n\r\n", searchFrom);
    const headBytes = end === -1 ? received.length : end;
    if (headBytes > maxBytes) done.resolve(undefined);
    else if (end !== -1) {
      socket.pause();
      socket.off("data", onData);
      const rest = received.subarray(end + 4);
      if (rest.length > 0) socket.unshift(rest);
      done.resolve(received.toString("latin1", 0, end));
    }
  };
  const onEnd = () => done.resolve(undefined);
  const onAbort = () => done.reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  socket.on("data", onData);
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  else socket.resume();
  return done.promise.finally(() => {
    socket.pause();
    socket.off("data", onData);
    socket.off("end", onEnd);
    socket.off("close", onEnd);
    signal.removeEventListener("abort", onAbort);
  });
}
