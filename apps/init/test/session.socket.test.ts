// Who may speak to init, what ends a connection, and what a new one is told.
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { InitProcess, until } from "./init-process.ts";
import { Peer } from "./peer.ts";
import * as wire from "./wire.ts";

const PATH = `PATH=${process.env["PATH"]}`;

describe("HELLO", () => {
  it("is answered with WELCOME", async () => {
    await using init = await InitProcess.start();
    await using peer = await Peer.open(init.port);
    peer.send(wire.hello(init.secret));
    expect((await peer.take(wire.WELCOME)).toString("hex")).toBe("01" + "00040000" + "0200" + "0000");
  });

  it("works over IPv6, in single bytes, and with frames right behind it", async () => {
    await using init = await InitProcess.start();
    const socket = connect({ port: init.port, host: "::1", noDelay: true });
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    for (const byte of wire.hello(init.secret)) {
      await new Promise<void>((resolve, reject) => {
        socket.write(Buffer.of(byte), (error) => (error ? reject(error) : resolve()));
      });
    }
    expect((await answer).readUInt8(4)).toBe(wire.WELCOME);
    socket.destroy();
    await using peer = await Peer.open(init.port);
    peer.send(wire.hello(init.secret), wire.ping(1), wire.start({ id: "a", argv: ["true"], env: [PATH] }));
    await peer.take(wire.PONG);
    await peer.take(wire.STARTED);
  });

  const wrong: readonly (readonly [string, (secret: Buffer) => Buffer])[] = [
    ["another secret", () => wire.hello(randomBytes(32))],
    ["a secret wrong in its last bit", (secret) => flipped(wire.hello(secret), -1)],
    ["another version", (secret) => wire.frame(wire.HELLO, Buffer.from("SLYP"), wire.u8(2), secret)],
    ["another greeting", (secret) => wire.frame(wire.HELLO, Buffer.from("SLYQ"), wire.u8(1), secret)],
    ["a byte too many", (secret) => wire.frame(wire.HELLO, Buffer.from("SLYP"), wire.u8(1), secret, wire.u8(0))],
    ["another frame", () => wire.ping(1)],
    ["HTTP", () => Buffer.from("GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n")],
  ];
  for (const [what, bytes] of wrong) {
    it(`with ${what} ends the connection, and no other one`, async () => {
      await using init = await InitProcess.start();
      await using good = await init.peer();
      await using bad = await Peer.open(init.port);
      bad.send(bytes(init.secret));
      await bad.untilClosed();
      expect(bad.frames).toEqual([]);
      await good.pong();
    });
  }

  it("has to come within five seconds", { timeout: 30_000 }, async () => {
    await using init = await InitProcess.start();
    await using silent = await Peer.open(init.port);
    await using slow = await Peer.open(init.port);
    const begun = Date.now();
    slow.send(wire.hello(init.secret).subarray(0, 20));
    await silent.untilClosed();
    await slow.untilClosed();
    expect(Date.now() - begun).toBeGreaterThan(4_500);
  });

  it("is waited for on eight connections: the oldest goes for a ninth", async () => {
    await using init = await InitProcess.start();
    const peers: Peer[] = [];
    for (let index = 0; index < 9; index += 1) peers.push(await Peer.open(init.port));
    await peers[0]?.untilClosed();
    expect(peers.map((peer) => peer.isClosed)).toEqual(peers.map((_, index) => index === 0));
    peers[1]?.send(wire.hello(init.secret));
    await peers[1]?.take(wire.WELCOME);
    for (const peer of peers) await peer[Symbol.asyncDispose]();
  });
});

describe("a connection", () => {
  it("is replaced by the next one that knows the secret, and by no other", async () => {
    await using init = await InitProcess.start();
    await using first = await init.peer();
    await using stranger = await Peer.open(init.port);
    stranger.send(wire.hello(randomBytes(32)));
    await stranger.untilClosed();
    await first.pong();
    await using second = await init.peer();
    await first.untilClosed();
    await second.pong();
  });

  it("is told of every process, and of every exit until FORGET", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const pty = { columns: 80, rows: 24 };
    const ended = await peer.start({ id: "ended", argv: ["sh", "-c", "printf abc; exit 9"], env: [PATH] });
    const running = await peer.start({ id: "running_1-A", argv: ["cat"], env: [PATH], stdin: true, pty });
    await peer.exit(ended.handle);
    expect(await peer.text(ended.handle)).toBe("abc");
    await peer.text(ended.handle, 2);
    for (let round = 0; round < 3; round += 1) {
      const { peer: next, records } = await init.greet();
      expect(records).toEqual([
        { handle: ended.handle, id: "ended", flags: 2, stdout: [3, 3], stderr: [0, 0], stdinAccepted: 0 },
        { handle: running.handle, id: "running_1-A", flags: 5, stdout: [0, 0], stderr: [0, 0], stdinAccepted: 0 },
      ]);
      expect(await next.exit(ended.handle)).toEqual({ kind: "exited", value: 9 });
      // The end is told again too, and with a terminal stderr is at its end from the first.
      expect(await next.read(ended.handle, 1, { from: 3 })).toHaveLength(0);
      expect(await next.read(running.handle, 2)).toHaveLength(0);
      await next[Symbol.asyncDispose]();
    }
    const last = await init.peer();
    last.send(wire.forget(running.handle), wire.forget(ended.handle), wire.forget(ended.handle));
    await last.pong();
    const { records } = await init.greet();
    expect(records.map(({ id }) => id)).toEqual(["running_1-A"]);
  });

  it("lets an id be used again after FORGET, under another handle", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const first = await peer.start({ id: "a", argv: ["true"], env: [PATH] });
    await peer.exit(first.handle);
    peer.send(wire.forget(first.handle));
    const second = await peer.start({ id: "a", argv: ["true"], env: [PATH] });
    expect(second.handle).not.toBe(first.handle);
    await peer.exit(second.handle);
  });

  it("ignores frames for handles that it does not know", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    peer.send(
      wire.resume(77, 1, 5),
      wire.ack(77, 2, 5),
      wire.input(77, 9, "x"),
      wire.inputEnd(77, 3),
      wire.signal(77, 9),
      wire.resize(77, 1, 1),
      wire.forget(77),
    );
    await peer.pong();
    expect(peer.frames).toEqual([]);
  });

  it("that is never read from stops being read, and costs no memory", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    peer.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 100_000 }, (_, index) => wire.ping(index)));
    let taken = 0;
    peer.socket.write(pings, () => {
      taken += 1;
    });
    for (let round = 0; round < 9; round += 1) peer.socket.write(pings);
    await using other = await init.peer();
    await other.pong();
    expect(taken).toBeLessThanOrEqual(1);
    expect(init.isRunning).toBe(true);
  });

  it("answers every one of 100,000 pings, in order", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const count = 100_000;
    peer.send(...Array.from({ length: count }, (_, index) => wire.ping(index)));
    await until(() => peer.frames.length === count, "all answers");
    const wrong = peer.frames.findIndex(({ payload }, index) => payload.readBigUInt64BE(0) !== BigInt(index));
    expect(wrong).toBe(-1);
  });

  const breaches: readonly (readonly [string, (handle: number) => Buffer])[] = [
    ["an unknown type", () => wire.frame(0x0b)],
    ["a type of init's own", () => wire.frame(wire.PONG, wire.u64(1))],
    ["type 0", () => wire.frame(0)],
    ["a second HELLO", () => wire.hello(randomBytes(32))],
    ["a payload of 64 KiB and a byte", () => Buffer.concat([wire.u32(64 * 1024 + 1), wire.u8(wire.INPUT)])],
    ["a START of 1 MiB and a byte", () => Buffer.concat([wire.u32(1024 * 1024 + 1), wire.u8(wire.START)])],
    ["a payload of 4 GiB", () => Buffer.concat([wire.u32(0xffff_ffff), wire.u8(wire.PING)])],
    ["a short PING", () => wire.frame(wire.PING, wire.u32(1))],
    ["a long PING", () => wire.frame(wire.PING, wire.u64(1), wire.u8(0))],
    ["an output that does not exist", (handle) => wire.resume(handle, 3, 0)],
    ["RESUME beyond the end", (handle) => wire.resume(handle, 1, 1)],
    ["ACK beyond the end", (handle) => wire.frame(wire.ACK, wire.u32(handle), wire.u8(1), wire.u64(2n ** 64n - 1n))],
    [
      "INPUT that overflows",
      (handle) => wire.frame(wire.INPUT, wire.u32(handle), wire.u64(2n ** 64n - 1n), wire.u64(0)),
    ],
    ["signal 0", (handle) => wire.signal(handle, 0)],
    ["signal 65", (handle) => wire.signal(handle, 65)],
    ["a START without argv", () => wire.start({ id: "x", argv: [] })],
    ["a START without id", () => wire.start({ id: "", argv: ["true"] })],
    ["an id of 65 characters", () => wire.start({ id: "x".repeat(65), argv: ["true"] })],
    ["an id with a slash", () => wire.start({ id: "a/b", argv: ["true"] })],
    ["an argument with NUL", () => wire.start({ id: "x", argv: ["a\0b"] })],
    ["an environment entry without =", () => wire.start({ id: "x", argv: ["true"], env: ["A"] })],
    ["an environment entry without name", () => wire.start({ id: "x", argv: ["true"], env: ["=A"] })],
    ["unknown flags of START", () => wire.frame(wire.START, Buffer.from("\x01x\x04"), Buffer.alloc(4), wire.u32(0))],
    ["a string that is longer than its frame", () => truncated(wire.start({ id: "x", argv: ["true"] }), 3)],
    ["bytes behind a START", () => truncated(Buffer.concat([wire.start({ id: "x", argv: ["true"] }), wire.u8(0)]), 0)],
  ];
  for (const [what, bytes] of breaches) {
    it(`ends with ${what}; init and its processes go on`, async () => {
      await using init = await InitProcess.start();
      await using peer = await init.peer();
      const { handle } = await peer.start({ id: "a", argv: ["sleep", "60"], env: [PATH], stdin: true });
      peer.send(bytes(handle), wire.ping(9));
      await peer.untilClosed();
      expect(peer.frames).toEqual([]);
      const { records } = await init.greet();
      expect(records.map(({ id }) => id)).toEqual(["a"]);
    });
  }

  it("takes a START of 1 MiB", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const rest = 1024 * 1024 - (wire.start({ id: "a", argv: ["true", ""], env: [PATH] }).length - 5);
    // One argument of a process is at most 128 KiB long: the kernel refuses, and says so.
    expect(await peer.startFails({ id: "a", argv: ["true", "x".repeat(rest)], env: [PATH] })).toEqual({
      stage: 5,
      errno: 7,
    });
    const argv = ["sh", "-c", "echo $#", ...Array.from({ length: 9_000 }, () => "x".repeat(100))];
    const { handle } = await peer.start({ id: "b", argv, env: [PATH] });
    expect(await peer.text(handle)).toBe("8999\n");
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = (at + copy.length) % copy.length;
  copy.writeUInt8(copy.readUInt8(index) ^ 1, index);
  return copy;
}

/** A frame whose payload lost its last bytes, with a length that says so. */
function truncated(frame: Buffer, bytes: number): Buffer {
  const copy = Buffer.from(frame.subarray(0, frame.length - bytes));
  copy.writeUInt32BE(copy.length - 5, 0);
  return copy;
}
