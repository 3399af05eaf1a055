import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { describe, expect, it, vi } from "vitest";
import { DECODE_ERROR, dial, greet, HOST, helloOf, rawDial, readAll, UNRECOGNIZED_NAME } from "../test/clients.ts";
import { DOMAIN, sandbox, startDoor } from "../test/door.ts";

describe("TlsDoor", () => {
  it("serves each host with its own certificate", async () => {
    await using door = await startDoor();
    for (const number of [1, 2]) {
      const servername = `${sandbox(number)}.${DOMAIN}`;
      const socket = dial(door, { servername });
      const [text] = (await once(socket, "data")) as [Buffer];
      expect(text.toString()).toBe(`hello ${servername}\n`);
      expect(socket.authorized).toBe(true);
      expect(socket.getPeerCertificate().subjectaltname).toBe(`DNS:${servername}`);
      socket.destroy();
    }
    expect(door.entered.map(({ peerAddress, protocol }) => [peerAddress, protocol])).toEqual([
      ["127.0.0.1", undefined],
      ["127.0.0.1", undefined],
    ]);
  });

  it("takes a name in any case, and with a final dot", async () => {
    await using door = await startDoor();
    for (const servername of [HOST.toUpperCase(), `${HOST}.`, `${HOST.toUpperCase()}.`]) {
      expect(await greet(door, { servername, checkServerIdentity: () => undefined })).toBe(`hello ${HOST}\n`);
    }
  });

  it.each([
    "",
    "localhost",
    `${sandbox(1)}.example.com`,
    `x.${HOST}`,
    "sb-short.localhost",
    `${sandbox(1)}.localhost.evil.com`,
  ])("answers the name %j with an alert, and no certificate", async (servername) => {
    await using door = await startDoor();
    // Node sends no name for "".
    expect(await greet(door, { servername, rejectUnauthorized: false })).toBe("ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
    expect(door.refused).toEqual(["server-name"]);
    expect(door.api.certified).toEqual([]);
  });

  it("speaks TLS 1.2 and 1.3, and nothing older", async () => {
    await using door = await startDoor();
    const version = (one: "TLSv1.1" | "TLSv1.2" | "TLSv1.3") => ({
      servername: HOST,
      minVersion: one,
      maxVersion: one,
      ...(one === "TLSv1.1" ? { ciphers: "DEFAULT:@SECLEVEL=0" } : {}),
    });
    expect(await greet(door, version("TLSv1.3"))).toContain("hello");
    expect(await greet(door, version("TLSv1.2"))).toContain("hello");
    expect(await greet(door, version("TLSv1.1"))).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
    expect(door.refused).toEqual(["broken"]);
  });

  it.each([
    ["X25519MLKEM768", true],
    ["X25519", true],
    ["prime256v1", true],
    ["secp384r1", true],
    ["secp521r1", false],
    ["X448", false],
    ["ffdhe2048", false],
    ["ffdhe8192", false],
  ])("agrees on a secret by %s: %s", async (ecdhCurve, isTaken) => {
    await using door = await startDoor();
    const said = await greet(door, { servername: HOST, ecdhCurve, minVersion: "TLSv1.3" });
    expect(said).toMatch(isTaken ? /^hello / : /^ERR_SSL_.*HANDSHAKE_FAILURE$/);
  });

  it.each([
    [["http/1.1"], ["h2", "http/1.1"], "http/1.1"],
    [["h2", "http/1.1"], ["http/1.1", "h2"], "h2"],
    [["h2", "http/1.1"], ["http/1.1"], "http/1.1"],
    [["h2", "http/1.1"], undefined, undefined],
  ] as const)("negotiates (offered: %j, asked: %j) %s", async (alpn, asked, protocol) => {
    await using door = await startDoor({ alpn });
    expect(
      await greet(door, { servername: HOST, ...(asked === undefined ? {} : { ALPNProtocols: [...asked] }) }),
    ).toContain("hello");
    expect(door.entered[0]?.protocol).toBe(protocol);
  });

  it("refuses protocols that it does not speak", async () => {
    await using door = await startDoor();
    const code = await greet(door, { servername: HOST, ALPNProtocols: ["h2"] });
    expect(code).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
    expect(door.refused).toEqual(["alpn"]);
    const [{ client, way } = {}] = door.turnedAway;
    expect([client?.source.address, way]).toEqual(["127.0.0.1", `to ${sandbox(1)}`]);
  });

  it("resumes a session for the same host", async () => {
    await using door = await startDoor();
    const first = dial(door, { servername: HOST });
    const [session] = (await once(first, "session")) as [Buffer];
    first.destroy();
    const second = dial(door, { servername: HOST, session });
    await once(second, "secureConnect");
    expect(second.isSessionReused()).toBe(true);
    second.destroy();
  });

  it("tells whoever speaks plain HTTP what is spoken here", async () => {
    await using door = await startDoor();
    const socket = await rawDial(door);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const text = (await readAll(socket)).toString();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain("HTTPS");
    expect(text.split("\r\n\r\n")[1]).toHaveLength(Number(/content-length: (\d+)/.exec(text)?.[1]));
    expect(door.refused).toEqual(["not-tls"]);
  });

  it("answers anything else with an alert", async () => {
    await using door = await startDoor();
    const socket = await rawDial(door);
    socket.write(Buffer.from([0x80, 0x2e, 1, 0, 2]));
    expect(await readAll(socket)).toEqual(DECODE_ERROR);
  });

  it("reads a hello that comes byte by byte", async () => {
    await using door = await startDoor();
    const socket = await rawDial(door);
    socket.setNoDelay(true);
    const hello = await helloOf("nobody.localhost");
    for (const byte of hello) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await readAll(socket)).toEqual(UNRECOGNIZED_NAME);
  });

  it("gives up on a client that does not finish its handshake", async () => {
    await using door = await startDoor({ limits: { handshakeMs: 100 } });
    const silent = await rawDial(door);
    expect(await readAll(silent)).toEqual(Buffer.alloc(0));
    const half = await rawDial(door);
    half.write((await helloOf(HOST)).subarray(0, 40));
    expect(await readAll(half)).toEqual(Buffer.alloc(0));
    expect(door.refused).toEqual(["timeout", "timeout"]);
    await vi.waitFor(() => expect([door.admission.open, door.admission.handshakes]).toEqual([0, 0]));
  });

  it("gives up on a client that falls silent in the middle of it", async () => {
    await using door = await startDoor({ limits: { handshakeMs: 2_000 } });
    expect(await greet(door, { servername: HOST })).toContain("hello"); // its certificate is there
    const socket = await rawDial(door);
    socket.write(await helloOf(HOST));
    expect((await readAll(socket))[0]).toBe(22); // it got the server's hello, and said nothing more
    expect(door.refused).toEqual(["timeout"]);
  });

  it("bounds connections in all, of an address, to a sandbox, and handshakes, and gives places back", async () => {
    for (const [limits, reason] of [
      [{ connections: 2 }, "connections"],
      [{ connectionsPerAddress: 2 }, "address"],
      [{ connectionsPerSandbox: 2 }, "sandbox"],
    ] as const) {
      await using door = await startDoor({ limits });
      const held = [dial(door, { servername: HOST }), dial(door, { servername: HOST })];
      for (const socket of held) await once(socket, "data");
      expect(await greet(door, { servername: HOST })).not.toContain("hello");
      expect(door.refused).toEqual([reason]);
      for (const socket of held) socket.destroy();
      await vi.waitFor(() => expect(door.admission.open).toBe(0));
      expect(await greet(door, { servername: HOST })).toContain("hello");
    }
    await using door = await startDoor({ limits: { handshakes: 1 } });
    const silent = await rawDial(door);
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(1));
    expect(await greet(door, { servername: HOST })).not.toContain("hello");
    silent.destroy();
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(0));
    expect(await greet(door, { servername: HOST })).toContain("hello");
  });

  it("lets nobody in by silence: who says nothing makes room for others", async () => {
    await using door = await startDoor({ limits: { handshakes: 4 } });
    const silent = await Promise.all(Array.from({ length: 4 }, () => rawDial(door, "127.0.0.9")));
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(4));
    expect(await greet(door, { servername: HOST })).toContain("hello");
    expect(door.refused).toEqual(["shed"]);
    for (const socket of silent) socket.destroy();
  });

  it("lets nobody without a token keep a sandbox to himself", async () => {
    await using door = await startDoor({ limits: { connectionsPerSandbox: 3 } });
    const held = Array.from({ length: 3 }, () => dial(door, { servername: HOST, localAddress: "127.0.0.9" }));
    for (const socket of held) await once(socket, "data");
    expect(await greet(door, { servername: HOST, localAddress: "127.0.0.9" })).not.toContain("hello");
    const cut = once(held[0] as TLSSocket, "close");
    held[0]?.on("error", () => held[0]?.destroy()); // as the test wants it
    expect(await greet(door, { servername: HOST })).toContain("hello");
    await cut;
    expect(door.refused).toEqual(["sandbox", "shed"]);
    expect(door.turnedAway.map(({ way }) => way)).toEqual([`to ${sandbox(1)}`, `to ${sandbox(1)}`]);
    door.admission.prove("127.0.0.9", HOST.split(".")[0] ?? "");
    const mine = dial(door, { servername: HOST });
    await once(mine, "data");
    expect(await greet(door, { servername: HOST })).not.toContain("hello");
    expect(held.slice(1).some(({ destroyed }) => destroyed)).toBe(false);
    for (const socket of [...held, mine]) socket.destroy();
  });

  it("lets those who are at it already in when it closes, and nobody else", async () => {
    await using door = await startDoor();
    const before = await rawDial(door);
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(1));
    door.door.close();
    expect(await greet(door, { servername: HOST })).toBe("ECONNREFUSED");
    const secure = connect({ socket: before, servername: HOST, ca: door.authority.pem });
    expect(String((await once(secure, "data"))[0])).toBe(`hello ${HOST}\n`);
    secure.destroy();
    door.door.close(); // once more
  });

  it("lets those who came through stay when it is disposed of, and nobody else in", async () => {
    await using door = await startDoor();
    const inside = dial(door, { servername: HOST });
    await once(inside, "data");
    const before = await rawDial(door);
    const ended = readAll(before);
    await vi.waitFor(() => expect(door.admission.handshakes).toBe(1));
    door.door[Symbol.dispose]();
    await ended;
    inside.write("still there");
    expect(String((await once(inside, "data"))[0])).toBe("still there");
    expect(await greet(door, { servername: HOST })).toBe("ECONNREFUSED");
    const empty = door.admission.empty(10_000);
    inside.destroy();
    await empty;
    expect(door.admission.open).toBe(0);
  });

  it("passes bytes both ways, whole and in order, with slow readers", async () => {
    await using door = await startDoor();
    const socket = dial(door, { servername: HOST });
    await once(socket, "data");
    const sent = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdef");
    const received: Buffer[] = [];
    socket.write(sent);
    socket.end();
    for await (const chunk of socket) received.push(chunk as Buffer);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });
});
