// A resolver on free ports of loopback, and what asks it: messages by dns-packet, over sockets of the test's own.
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { silentLogger } from "@sallyport/appkit/logger";
import type { DnsServer } from "@sallyport/testkit/dns-server";
import { type DecodedPacket, decode } from "dns-packet";
import { startResolver } from "../src/app.ts";
import { type ResolverConfig, readConfig } from "../src/config.ts";
import { query } from "./messages.ts";

export interface TestResolver extends AsyncDisposable {
  readonly port: number;
  /** Asks over UDP; the answer, or undefined after so long. */
  udp(message: Uint8Array, timeoutMs?: number): Promise<DecodedPacket | undefined>;
  /** Asks for one name, with EDNS. */
  ask(name: string, type?: string): Promise<DecodedPacket>;
  /** A connection to it. */
  connect(): Promise<Connection>;
}

export interface ResolverTestOptions {
  readonly upstream?: readonly Pick<DnsServer, "address">[];
  readonly resolvConf?: string;
  readonly limits?: Partial<ResolverConfig["limits"]>;
  readonly ownAddresses?: () => readonly string[];
}

export async function testResolver(options: ResolverTestOptions): Promise<TestResolver> {
  const udp = createSocket("udp4");
  const tcp = createServer({ allowHalfOpen: true });
  const config = readConfig({
    SALLYPORT_RESOLVER_SOCKETS: "0,0,0,0",
    ...(options.upstream === undefined
      ? { SALLYPORT_DNS_RESOLV_CONF: options.resolvConf }
      : { SALLYPORT_DNS_UPSTREAM: options.upstream.map((server) => server.address).join(",") }),
  });
  let port = 0;
  const running = await startResolver(
    { ...config, limits: { ...config.limits, ...options.limits } },
    {
      logger: silentLogger,
      ownAddresses: options.ownAddresses ?? (() => []),
      sockets: {
        udp: [udp],
        tcp: [tcp],
        async listen() {
          port = await listenOnBoth(udp, tcp);
        },
      },
    },
  );
  const askUdp = (message: Uint8Array, timeoutMs = 10_000) => exchange(port, message, timeoutMs);
  return {
    port,
    udp: askUdp,
    async ask(name, type = "A") {
      const answer = await askUdp(query(name, type, { edns: true }));
      if (answer === undefined) throw new Error(`no answer for ${name}`);
      return answer;
    },
    connect: () => Connection.open(port),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function exchange(port: number, message: Uint8Array, timeoutMs: number): Promise<DecodedPacket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (answer: DecodedPacket | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(undefined), timeoutMs);
    socket.once("message", (answer) => end(decode(answer)));
    socket.send(message, port, "127.0.0.1");
  });
}

/** Whoever talks over TCP: sends bytes as they are, reads whole messages. */
export class Connection {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  readonly #messages: DecodedPacket[] = [];
  readonly closed: Promise<unknown>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#received.length >= 2 && this.#received.length >= 2 + this.#received.readUInt16BE(0)) {
        const end = 2 + this.#received.readUInt16BE(0);
        this.#messages.push(decode(this.#received.subarray(2, end)));
        this.#received = this.#received.subarray(end);
        socket.emit("answer");
      }
    });
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    return new Connection(socket);
  }

  send(message: Uint8Array): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    this.socket.write(Buffer.concat([length, message]));
  }

  /** Waits until so many have come in all; fewer where the other side closes before. */
  async answers(count: number): Promise<readonly DecodedPacket[]> {
    while (this.#messages.length < count && !this.socket.closed) {
      await Promise.race([once(this.socket, "answer"), this.closed]);
    }
    return this.#messages;
  }
}

/** TCP chooses the port; should UDP have it already, another one. */
async function listenOnBoth(udp: UdpSocket, tcp: Server): Promise<number> {
  for (;;) {
    tcp.listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    udp.bind(port, "127.0.0.1");
    const error = await once(udp, "listening").then(
      () => undefined,
      (reason: NodeJS.ErrnoException) => reason,
    );
    if (error === undefined) return port;
    if (error.code !== "EADDRINUSE") throw error;
    tcp.close();
    await once(tcp, "close");
  }
}
