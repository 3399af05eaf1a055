// Clients of a door: such as speak TLS, and such as say every byte themselves.
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect as connectTcp, createServer } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import type { TestDoor } from "./door.ts";
import { DOMAIN, sandbox } from "./door.ts";

export const HOST: string = `${sandbox(1)}.${DOMAIN}`;

/** From another address of the loopback, if the test says so. */
type Options = ConnectionOptions & { readonly localAddress?: string };

export function dial({ authority, port }: TestDoor, options: Options): TLSSocket {
  return connect({ host: "127.0.0.1", port, ca: authority.pem, ...options });
}

/** The first text that comes through, or the error's code. */
export async function greet(door: TestDoor, options: Options): Promise<string> {
  const socket = dial(door, options);
  try {
    const [text] = (await once(socket, "data")) as [Buffer];
    return text.toString();
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    socket.destroy();
  }
}

export async function rawDial({ port }: TestDoor, localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port, localAddress });
  await once(socket, "connect");
  return socket;
}

/** What comes until the connection ends. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => socket.destroy());
  await new Promise((resolve) => socket.once("close", resolve)); // after a reset, too
  return Buffer.concat(chunks);
}

export const UNRECOGNIZED_NAME: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
export const DECODE_ERROR: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 50]);

/** The first bytes of a client that wants this host. */
export async function helloOf(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = connect({ host: "127.0.0.1", port: address.port, servername });
  client.on("error", () => client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}
