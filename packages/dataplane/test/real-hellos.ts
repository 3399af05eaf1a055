// Hellos of clients that nobody here wrote: node:tls and openssl, caught at a socket that may answer them.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { connect, createServer as createTlsServer } from "node:tls";
import { promisify } from "node:util";
import { ClientHelloReader } from "../src/client-hello/index.ts";

/** What a client sent until its hello was whole or refused, and what it said of the answer. */
export interface Caught {
  readonly bytes: Buffer;
  readonly complaint: string;
}

/** Catches the hello of node:tls; the answer, if any, is sent before the end. */
export async function nodeHello(options: ConnectionOptions, answer: Buffer = Buffer.alloc(0)): Promise<Caught> {
  return await caught(answer, async (port) => {
    const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => client.once("error", resolve));
    client.destroy();
    return `${error.code ?? ""} ${error.message}`;
  });
}

/** Catches the hello of `openssl s_client` with some options. */
export async function opensslHello(options: readonly string[], answer: Buffer = Buffer.alloc(0)): Promise<Caught> {
  return await caught(answer, async (port) => {
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options]);
    child.stdin.end();
    child.stdout.resume();
    const [, errors] = await Promise.all([once(child, "close"), child.stderr.setEncoding("utf8").toArray()]);
    return errors.join("");
  });
}

async function caught(answer: Buffer, client: (port: number) => Promise<string>): Promise<Caught> {
  const pieces: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    const reader = new ClientHelloReader();
    socket.on("error", () => socket.destroy()); // the client has gone, which is what is waited for
    socket.on("data", (piece: Buffer) => {
      if (socket.writableEnded) return; // what a client says of the answer is no part of its hello
      pieces.push(piece);
      if (reader.push(piece).state !== "need-more") socket.end(answer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const complaint = await client((server.address() as AddressInfo).port);
    return { bytes: Buffer.concat(pieces), complaint };
  } finally {
    server.close();
  }
}

/** A session of node:tls with a real server: a hello with it holds a ticket. */
export async function realSession(servername: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "hello-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const files = ["-nodes", "-keyout", key, "-out", cert];
    await promisify(execFile)("openssl", ["req", "-x509", ...curve, ...files, "-subj", "/CN=localhost"]);
    return await sessionWith(await readFile(key), await readFile(cert), servername);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function sessionWith(key: Buffer, cert: Buffer, servername: string): Promise<Buffer> {
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on("error", () => socket.destroy()); // the client goes as soon as it has its ticket
    socket.write("x");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, servername });
  client.resume();
  const [session] = (await once(client, "session")) as [Buffer];
  client.destroy();
  server.close();
  return session;
}
