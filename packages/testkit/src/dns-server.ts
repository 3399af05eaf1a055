// A name server for tests: UDP and TCP on one port of loopback, answers from a table or a function, no recursion.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Server } from "node:net";
import { createServer } from "node:net";
import type { Answer, Packet } from "dns-packet";
import { decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED, streamEncode, TRUNCATED_RESPONSE } from "dns-packet";

/** What it was asked. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  /** The message as it came. */
  readonly packet: Packet;
}

/** What it answers; whatever is left out is as an honest server has it. */
export interface DnsReply {
  readonly rcode?: number;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
  readonly truncated?: boolean;
  readonly id?: number;
  readonly question?: { readonly name: string; readonly type: string };
  /** Sent as it is, in place of all the rest. */
  readonly raw?: Buffer;
}

export interface DnsServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** "127.0.0.1:12345", as SALLYPORT_DNS_UPSTREAM has it. */
  readonly address: string;
  readonly asked: readonly DnsQuestion[];
}

export interface DnsServerOptions {
  /** Replies in their order; none is silence. */
  readonly respond: (question: DnsQuestion) => DnsReply | readonly DnsReply[] | undefined;
  /** 127.0.0.1 when unset. */
  readonly host?: string;
  /** A free one when unset. */
  readonly port?: number;
}

/** Starts it. Its port is the same for UDP and TCP. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const host = options.host ?? "127.0.0.1";
  const asked: DnsQuestion[] = [];
  const replies = (message: Buffer, transport: "udp" | "tcp"): { packet: Packet; reply: DnsReply }[] => {
    const packet = decode(message);
    const question = packet.questions?.[0];
    if (question === undefined) return [];
    const one = { name: question.name, type: question.type, transport, packet };
    asked.push(one);
    const found = options.respond(one);
    return [found ?? []].flat().map((reply) => ({ packet, reply }));
  };
  const { udp, tcp } = await bindBoth(host, options.port ?? 0);
  udp.on("message", (message, peer) => {
    for (const { packet, reply } of replies(message, "udp")) {
      udp.send(reply.raw ?? encode(packetOf(packet, reply)), peer.port, peer.address);
    }
  });
  const sockets = new Set<AsyncDisposable & { destroy(): void }>();
  tcp.on("connection", (socket) => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const message = received.subarray(2, 2 + received.readUInt16BE(0));
        received = received.subarray(2 + message.length);
        for (const { packet, reply } of replies(message, "tcp")) {
          socket.write(reply.raw ?? streamEncode(packetOf(packet, reply)));
        }
      }
    });
  });
  const address = tcp.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  let over: Promise<void> | undefined;
  return {
    host,
    port,
    address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    asked,
    [Symbol.asyncDispose]() {
      over ??= (async () => {
        for (const socket of sockets) socket.destroy();
        const closed = [
          new Promise((resolve) => tcp.close(resolve)),
          new Promise<void>((resolve) => udp.close(resolve)),
        ];
        await Promise.all(closed);
      })();
      return over;
    },
  };
}

/** A record without its owner's name; `data` as dns-packet has it for the type. */
export interface ZoneRecord {
  readonly type: string;
  readonly data: unknown;
  readonly ttl?: number;
}

/** Answers from a table of records by name: with the aliases on the way, NXDOMAIN for names that are not in it. */
export function fromZone(zone: Readonly<Record<string, readonly ZoneRecord[]>>): (question: DnsQuestion) => DnsReply {
  return ({ name, type }) => {
    const answers: Answer[] = [];
    let at = name.toLowerCase();
    for (let aliases = 0; aliases < 20; aliases += 1) {
      const records = zone[at] ?? [];
      const owned = (record: ZoneRecord): Answer => ({ ttl: 60, ...record, name: at }) as Answer;
      const wanted = records.filter((record) => record.type === type);
      const alias = records.find((record) => record.type === "CNAME");
      if (wanted.length > 0 || alias === undefined) {
        return { answers: [...answers, ...wanted.map(owned)], rcode: records.length > 0 ? 0 : 3 };
      }
      answers.push(owned(alias));
      at = String(alias.data).toLowerCase();
    }
    return { answers };
  };
}

function packetOf(packet: Packet, reply: DnsReply): Packet {
  const flags = RECURSION_AVAILABLE | RECURSION_DESIRED | (reply.truncated === true ? TRUNCATED_RESPONSE : 0);
  const question = reply.question ?? packet.questions?.[0];
  return {
    type: "response",
    id: reply.id ?? packet.id ?? 0,
    flags: flags | (reply.rcode ?? 0),
    questions: question === undefined ? [] : [question as NonNullable<Packet["questions"]>[number]],
    answers: [...(reply.answers ?? [])],
    authorities: [...(reply.authorities ?? [])],
    additionals: [...(reply.additionals ?? [])],
  };
}

/** A port that is free for both. */
async function bindBoth(host: string, wanted: number): Promise<{ udp: ReturnType<typeof createSocket>; tcp: Server }> {
  for (let attempt = 0; ; attempt += 1) {
    const tcp = createServer();
    tcp.listen(wanted, host);
    await once(tcp, "listening");
    const address = tcp.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
    try {
      const bound = once(udp, "listening");
      udp.bind(port, host);
      await bound;
      return { udp, tcp };
    } catch (error) {
      tcp.close();
      udp.close();
      if (attempt === 10 || wanted !== 0) throw error;
    }
  }
}
