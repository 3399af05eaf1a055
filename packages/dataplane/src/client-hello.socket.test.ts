import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { connect } from "node:tls";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_CLIENT_HELLO_BYTES, parseClientHello } from "./client-hello.ts";

const NAME = "sb-01jd0000000000000000000000.localhost";

/** The first bytes that a real TLS client sends. */
async function realHello(servername: string | undefined): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: "127.0.0.1", port, ...(servername === undefined ? {} : { servername }) });
  client.on("error", () => client.destroy()); // nobody answers its hello
  const [socket] = (await once(server, "connection")) as [Socket];
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** The handshake message of a single record, in records of so many bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 0xff]), piece);
  }
  return Buffer.concat(records);
}

let hello: Buffer;
beforeAll(async () => {
  hello = await realHello(NAME);
});

describe("parseClientHello", () => {
  it("finds the name that a real client sends, and that it sends none", async () => {
    expect(parseClientHello(hello)).toEqual({ kind: "hello", serverName: NAME });
    expect(parseClientHello(await realHello("SB-X.LocalHost"))).toEqual({
      kind: "hello",
      serverName: "sb-x.localhost",
    });
    expect(parseClientHello(await realHello(undefined))).toEqual({ kind: "hello", serverName: undefined });
  });

  it("waits for the rest, wherever the bytes are cut", () => {
    for (let end = 0; end < hello.length; end += 1) {
      expect(parseClientHello(hello.subarray(0, end)), `${end} bytes`).toEqual({ kind: "incomplete" });
    }
  });

  it.each([1, 2, 7, 100])("reads a hello in records of %d bytes", (size) => {
    expect(parseClientHello(inRecords(hello, size))).toEqual({ kind: "hello", serverName: NAME });
  });

  it.each([
    ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["SSL 2", Buffer.from([0x80, 0x2e, 0x01, 0x03, 0x01])],
    ["another record", Buffer.from([23, 3, 1, 0, 1, 0])],
    ["another major version", Buffer.from([22, 2, 0, 0, 1, 1])],
    ["an empty record", Buffer.from([22, 3, 1, 0, 0])],
    ["a record that is too long", Buffer.from([22, 3, 1, 0x40, 0x01])],
    ["another message", Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
    ["a message that is too long", Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
  ])("refuses %s", (_name, bytes) => {
    expect(parseClientHello(bytes)).toEqual({ kind: "invalid" });
  });

  it("refuses a hello that never ends", () => {
    const message = Buffer.alloc(MAX_CLIENT_HELLO_BYTES);
    message.set([1, 0, 0x44, 0]); // announces as many bytes as there may be
    const cut = inRecords(Buffer.concat([Buffer.alloc(5), message]), 16_384).subarray(0, MAX_CLIENT_HELLO_BYTES);
    expect(parseClientHello(cut)).toEqual({ kind: "invalid" });
  });

  it("refuses two names, names of another kind, and what is no name", () => {
    const at = hello.indexOf(NAME);
    const wrong = (offset: number, value: number) => {
      const changed = Buffer.from(hello);
      changed[at + offset] = value;
      return parseClientHello(changed);
    };
    expect(wrong(-3, 1)).toEqual({ kind: "invalid" }); // its kind
    expect(wrong(0, 0x20)).toEqual({ kind: "invalid" });
    expect(wrong(0, 0x00)).toEqual({ kind: "invalid" });
    expect(wrong(2, 0xe9)).toEqual({ kind: "invalid" });
    expect(wrong(-1, NAME.length - 1)).toEqual({ kind: "invalid" }); // a shorter name, and a byte behind it
  });

  it("never throws, whatever is changed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const changed = Buffer.from(hello);
        for (const [at, value] of changes) changed[at] = value;
        expect(["hello", "incomplete", "invalid"]).toContain(parseClientHello(changed).kind);
      }),
    );
  });
});
