// Whom a connection comes from where its peer speaks for somebody else: believed of those who may say so, of nobody else.
import { once } from "node:events";
import { statSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { connect } from "node:tls";
import type { ProxyHeader } from "@sallyport/dataplane/proxy-v2";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import { describe, expect, it, vi } from "vitest";
import { DECODE_ERROR, HOST, helloOf, rawDial, readAll, UNRECOGNIZED_NAME } from "../test/clients.ts";
import type { TestDoor, TestDoorOptions } from "../test/door.ts";
import { startDoor } from "../test/door.ts";

const LISTED = "127.0.0.8";
const CLIENT = { address: "198.51.100.7", port: 51_234 };
const OTHER_CLIENT = { address: "2001:db8::7", port: 1 };
const FRONT = { address: "198.51.100.1", port: 443 };
const NOTHING = Buffer.alloc(0);

function header(source = CLIENT, destination = FRONT): Buffer {
  return formatProxyHeader({ kind: "tcp", source, destination });
}

function start(options: TestDoorOptions = {}): Promise<TestDoor> {
  return startDoor({ sendsProxyHeader: (address) => address === LISTED, ...options });
}

/** A way in whose connections have to begin with a header. */
interface Way {
  readonly name: string;
  enter(door: TestDoor): Promise<Socket>;
}

const LISTED_PEER: Way = { name: "a listed peer", enter: (door) => rawDial(door, LISTED) };
const HAND_OVER: Way = {
  name: "the hand-over socket",
  async enter({ handOverPath }) {
    const socket = connectTcp({ path: handOverPath });
    await once(socket, "connect");
    return socket;
  },
};
const WAYS = [LISTED_PEER, HAND_OVER];

/** Says these bytes, then shakes hands; what the door says first. */
async function greetBehind(door: TestDoor, way: Way, bytes: Buffer): Promise<string> {
  const socket = await way.enter(door);
  socket.write(bytes);
  const secure = connect({ socket, servername: HOST, ca: door.authority.pem });
  try {
    const [text] = (await once(secure, "data")) as [Buffer];
    return text.toString();
  } finally {
    secure.destroy();
    socket.destroy();
  }
}

describe.each(WAYS)("a header by $name", (way) => {
  it("says where the client comes from and what it came to", async () => {
    await using door = await start();
    expect(await greetBehind(door, way, header())).toBe(`hello ${HOST}\n`);
    expect(await greetBehind(door, way, header(OTHER_CLIENT, { address: "2001:db8::1", port: 443 }))).toContain(HOST);
    expect(door.entered.map(({ client, peerAddress }) => ({ ...client, peerAddress }))).toEqual([
      { source: CLIENT, destination: FRONT, peerAddress: CLIENT.address },
      { source: OTHER_CLIENT, destination: { address: "2001:db8::1", port: 443 }, peerAddress: OTHER_CLIENT.address },
    ]);
  });

  it("may be cut everywhere, its hello too", async () => {
    await using door = await start();
    const bytes = Buffer.concat([header(), await helloOf("nobody.localhost")]);
    for (let at = 1; at < header().length + 12; at += 1) {
      const socket = await way.enter(door);
      socket.setNoDelay(true);
      socket.write(bytes.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(bytes.subarray(at));
      expect(await readAll(socket)).toEqual(UNRECOGNIZED_NAME);
    }
    const slow = await way.enter(door);
    slow.setNoDelay(true);
    for (const byte of bytes) {
      slow.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await readAll(slow)).toEqual(UNRECOGNIZED_NAME);
    expect(new Set(door.refused)).toEqual(new Set(["server-name"]));
  });

  it("may have TLVs and a checksum", async () => {
    await using door = await start();
    const withTlvs = raw(0x21, 0x11, Buffer.concat([header().subarray(16), Buffer.from([1, 0, 2, 0x68, 0x32])]));
    expect(await greetBehind(door, way, withTlvs)).toContain(HOST);
    const checked = formatProxyHeader({ kind: "tcp", source: CLIENT, destination: FRONT }, { checksum: true });
    expect(await greetBehind(door, way, checked)).toContain(HOST);
    const changed = Buffer.from(checked);
    changed[16] = 9;
    const socket = await way.enter(door);
    socket.write(changed);
    expect(await readAll(socket)).toEqual(NOTHING);
    expect(door.refused).toEqual(["proxy-header"]);
  });

  it.each([
    ["no header, but a hello", async () => await helloOf(HOST)],
    ["no header, but HTTP", async () => Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a header of version 1", async () => Buffer.from("PROXY TCP4 198.51.100.7 198.51.100.1 51234 443\r\n")],
    ["a header of version 3", async () => raw(0x31, 0x11, header().subarray(16))],
    ["a command that is not defined", async () => raw(0x22, 0x11, header().subarray(16))],
    ["a client at a Unix socket", async () => raw(0x21, 0x31, Buffer.alloc(216, "/"))],
    ["a client that speaks UDP", async () => raw(0x21, 0x12, header().subarray(16))],
    ["a client that nobody knows", async () => formatProxyHeader({ kind: "unspec" })],
    ["half an address", async () => raw(0x21, 0x11, header().subarray(16, 20))],
    ["a TLV that is longer than its header", async () => tlv(Buffer.from([4, 0xff, 0xff, 0]))],
    ["more TLVs than may be", async () => tlv(Buffer.alloc(65 * 3))],
    ["more bytes than may be", async () => raw(0x21, 0x11, Buffer.alloc(8_192))],
    ["more bytes than may be, of its own connection", async () => raw(0x20, 0, Buffer.alloc(0xffff))],
  ])("is refused: %s", async (_what, bytes) => {
    await using door = await start();
    const socket = await way.enter(door);
    socket.write(Buffer.concat([await bytes(), await helloOf(HOST)]));
    expect(await readAll(socket)).toEqual(NOTHING);
    await vi.waitFor(() => expect(door.refused).toEqual(["proxy-header"]));
    expect([door.entered, door.admission.open, door.admission.handshakes]).toEqual([[], 0, 0]);
  });

  it("is nobody's second: what follows it is a hello", async () => {
    await using door = await start();
    for (const second of [header(OTHER_CLIENT), Buffer.from([0, 1, 2]), Buffer.from("QUIT\n")]) {
      const socket = await way.enter(door);
      socket.write(Buffer.concat([header(), second]));
      expect(await readAll(socket)).toEqual(DECODE_ERROR);
    }
    expect(door.refused).toEqual(["not-tls", "not-tls", "not-tls"]);
  });

  it("is waited for, but not for long, and not by many", async () => {
    await using door = await start({ limits: { handshakeMs: 1_000, handshakes: 4 } });
    const waiting = await Promise.all(Array.from({ length: 4 }, () => way.enter(door)));
    const ends = waiting.map((socket) => readAll(socket));
    for (const [at, socket] of waiting.entries()) socket.write(header().subarray(0, 7 * at));
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(4));
    const late = await way.enter(door);
    expect(await readAll(late)).toEqual(NOTHING);
    expect(door.refused).toEqual(["handshakes"]);
    expect(door.admission.open).toBe(0); // nobody's, as long as nobody is named
    expect(await Promise.all(ends)).toEqual([NOTHING, NOTHING, NOTHING, NOTHING]);
    expect(door.refused.slice(1)).toEqual(["timeout", "timeout", "timeout", "timeout"]);
    expect(door.admission.handshakes).toBe(0);
  });

  it("that breaks off is forgotten", async () => {
    await using door = await start();
    const half = await way.enter(door);
    half.end(header().subarray(0, 20));
    expect(await readAll(half)).toEqual(NOTHING);
    const cut = await way.enter(door);
    cut.write(header().subarray(0, 20));
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(1));
    cut.destroy();
    await vi.waitFor(() => expect(door.refused).toEqual(["broken", "broken"]));
    expect(door.admission.handshakes).toBe(0);
  });

  it("is not waited for by a door that closes", async () => {
    await using door = await start();
    const waiting = await way.enter(door);
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(1));
    door.door[Symbol.dispose]();
    expect(await readAll(waiting)).toEqual(NOTHING);
    expect(door.refused).toEqual(["broken"]);
  });

  it("counts for the client that it names", async () => {
    await using door = await start({ limits: { connectionsPerAddress: 1 } });
    const held: Socket[] = [];
    const hello = (await helloOf(HOST)).subarray(0, 9);
    for (const source of [CLIENT, OTHER_CLIENT]) {
      const socket = await way.enter(door);
      held.push(socket);
      socket.write(Buffer.concat([header(source), hello]));
    }
    await vi.waitFor(() => expect(door.admission.open).toBe(2));
    const socket = await way.enter(door);
    socket.write(Buffer.concat([header({ ...OTHER_CLIENT, address: "2001:db8::8" }), hello])); // of the same /64
    expect(await readAll(socket)).toEqual(NOTHING);
    expect(door.refused).toEqual(["address"]);
    for (const one of held) one.destroy();
    await vi.waitFor(() => expect(door.admission.open).toBe(0));
  });
});

describe("a header by anybody else", () => {
  it("is no hello, and believed by nobody", async () => {
    await using door = await start();
    for (const address of ["127.0.0.1", "127.0.0.9"]) {
      const socket = await rawDial(door, address);
      socket.write(Buffer.concat([header(), await helloOf(HOST)]));
      expect(await readAll(socket)).toEqual(DECODE_ERROR);
    }
    expect([door.refused, door.entered]).toEqual([["not-tls", "not-tls"], []]);
  });

  it("is so at a door that lists nobody", async () => {
    await using door = await startDoor();
    const socket = await rawDial(door, LISTED);
    socket.write(Buffer.concat([header(), await helloOf(HOST)]));
    expect(await readAll(socket)).toEqual(DECODE_ERROR);
  });
});

describe("a connection of the peer's own", () => {
  const LOCAL: ProxyHeader = { kind: "local" };

  it("comes from the listed peer itself", async () => {
    await using door = await start();
    expect(await greetBehind(door, LISTED_PEER, formatProxyHeader(LOCAL))).toContain(HOST);
    const anyFamily = raw(0x20, 0x31, Buffer.alloc(216));
    expect(await greetBehind(door, LISTED_PEER, anyFamily)).toContain(HOST);
    expect(door.entered.map(({ client }) => [client.source.address, client.destination])).toEqual([
      [LISTED, { address: "127.0.0.1", port: door.port }],
      [LISTED, { address: "127.0.0.1", port: door.port }],
    ]);
  });

  it("comes from nowhere at the hand-over socket", async () => {
    await using door = await start();
    const socket = await HAND_OVER.enter(door);
    socket.write(Buffer.concat([formatProxyHeader(LOCAL), await helloOf(HOST)]));
    expect(await readAll(socket)).toEqual(NOTHING);
    expect(door.refused).toEqual(["proxy-header"]);
  });
});

describe("the hand-over socket", () => {
  it("is for its group", async () => {
    await using door = await start();
    expect(statSync(door.handOverPath).mode & 0o777).toBe(0o660);
  });
});

function raw(command: number, family: number, content: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(content.length);
  return Buffer.concat([header().subarray(0, 12), Buffer.from([command, family]), length, content]);
}

function tlv(bytes: Buffer): Buffer {
  return raw(0x21, 0x11, Buffer.concat([header().subarray(16), bytes]));
}
