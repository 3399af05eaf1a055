// Servers for sandboxes that tunnels can lead to, and raw clients of them.
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";

const SOURCE = await readFile(new URL("tunnel_app.py", import.meta.url), "utf8");

/** The command of a sandbox that serves all of these: MODE:PORT, or MODE:PORT:TEXT (modes: see the source's head). */
export function tunnelApp(...servers: readonly string[]): string[] {
  return ["python3", "-c", SOURCE, ...servers];
}

/** Where a tunnel is. */
export interface TunnelEnds {
  readonly tlsSocket: readonly [host: string, port: number];
  readonly tcpSocket: readonly [host: string, port: number] | undefined;
}

/** A TLS connection to a tunnel on this machine; `ca` is what vouches for it. */
export function tlsTo({ tlsSocket: [servername, port] }: TunnelEnds, ca: string): Socket {
  return connectTls({ host: "127.0.0.1", port, servername, ca });
}

/** A plain connection to a raw port. */
export function tcpTo({ tcpSocket }: TunnelEnds): Socket {
  if (tcpSocket === undefined) throw new Error("not a raw port");
  const [host, port] = tcpSocket;
  return connect({ host, port });
}

/** Says something, ends, and reads to the end. */
export async function ask(socket: Socket, text: string | Buffer): Promise<string> {
  socket.end(text);
  return (await buffer(socket)).toString();
}
