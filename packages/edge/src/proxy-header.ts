// A connection that begins with a PROXY header, version 2, since its peer speaks for somebody else: reads it, within
// bounds of bytes and time. Who may open such a connection can claim any address: the caller knows whom it believes.
import type { Socket } from "node:net";
import type { ProxyHeaderRefusal, ProxyHeaderResult } from "@sallyport/dataplane/proxy-v2";
import { ProxyHeaderReader } from "@sallyport/dataplane/proxy-v2";
import type { ClientEnds } from "./door-answer.ts";
import { PROXY_HEADER_MS } from "./edge-limits.ts";
import { plainAddress } from "./peers.ts";

/** Why there is no header: its reader's reasons, and those of the connection. */
type NoProxyHeader =
  | ProxyHeaderRefusal
  /** The peer cannot say for whom it comes: nobody could be asked about. */
  | "unspec"
  /** It comes for itself, over a socket that has no addresses. */
  | "local"
  | "timeout"
  | "broken";

export interface ProxyHeaderOptions {
  /** The client, and what came behind the header. The socket flows: whoever is called listens to it before it returns. */
  readonly onHeader: (client: ClientEnds, rest: Buffer) => void;
  /** Not called after {@link onHeader}. The socket is destroyed then. */
  readonly onRefused: (reason: NoProxyHeader) => void;
  /** {@link PROXY_HEADER_MS} when unset. */
  readonly timeoutMs?: number | undefined;
}

/** Reads the header at the front of a connection; disposal ends a connection whose header is not there yet. */
export function readProxyHeader(socket: Socket, options: ProxyHeaderOptions): Disposable {
  const reader = new ProxyHeaderReader();
  let isSettled = false;
  const settle = () => {
    if (isSettled) return false;
    isSettled = true;
    clearTimeout(timer);
    socket.off("data", onData);
    socket.off("end", onBroken);
    socket.off("close", onBroken);
    return true;
  };
  const refuse = (reason: NoProxyHeader) => {
    if (!settle()) return;
    socket.destroy();
    options.onRefused(reason);
  };
  const onBroken = () => refuse("broken");
  const onData = (chunk: Buffer) => {
    const result = reader.push(chunk);
    if (result.state === "need-more") return;
    const client = result.state === "header" ? clientOf(result, socket) : result.reason;
    if (typeof client === "string") refuse(client);
    else if (result.state === "header" && settle()) options.onHeader(client, result.rest);
  };
  const timer = setTimeout(() => refuse("timeout"), options.timeoutMs ?? PROXY_HEADER_MS);
  socket.on("data", onData);
  socket.once("end", onBroken);
  socket.once("close", onBroken);
  return { [Symbol.dispose]: onBroken };
}

function clientOf(
  { header }: Extract<ProxyHeaderResult, { state: "header" }>,
  socket: Socket,
): ClientEnds | NoProxyHeader {
  if (header.kind === "tcp") return { source: header.source, destination: header.destination };
  return header.kind === "local" ? (endsOf(socket) ?? "local") : "unspec";
}

/** The ends of a TCP connection; undefined: it has none, or no more. */
export function endsOf(socket: Socket): ClientEnds | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  if (localAddress === undefined || localPort === undefined) return undefined;
  return {
    source: { address: plainAddress(remoteAddress), port: remotePort },
    destination: { address: plainAddress(localAddress), port: localPort },
  };
}
