// Bytes through init: output by offsets until acknowledged, input by offsets until written, terminals.
import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:os";
import { describe, expect, it } from "vitest";
import { InitProcess, until } from "./init-process.ts";
import type { Peer } from "./peer.ts";
import * as wire from "./wire.ts";

const RING_BYTES = 256 * 1024;
const INPUT_BYTES = 64 * 1024;
const PATH = `PATH=${process.env["PATH"]}`;
// Bytes that differ at every offset, so that a lost, repeated or misplaced one shows.
const COUNT = (bytes: number) => ["sh", "-c", `seq 1 100000000 | head -c ${bytes}`];

function counted(bytes: number): Buffer {
  const lines: string[] = [];
  for (let number = 1, length = 0; length < bytes; number += 1) {
    lines.push(`${number}\n`);
    length += String(number).length + 1;
  }
  return Buffer.from(lines.join("")).subarray(0, bytes);
}

const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("output", () => {
  it("carries 20 MB, acknowledged on the way, without a wrong byte", { timeout: 60_000 }, async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const bytes = 20_000_000;
    const { handle } = await peer.start({ id: "a", argv: COUNT(bytes), env: [PATH] });
    const received = await peer.read(handle, 1);
    expect(received.length).toBe(bytes);
    expect(sha(received)).toBe(sha(counted(bytes)));
  });

  it("is not sent before RESUME", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["echo", "hi"], env: [PATH] });
    await peer.exit(handle);
    await peer.pong();
    expect(peer.frames).toEqual([]);
    expect(await peer.text(handle)).toBe("hi\n");
    expect(await peer.text(handle, 2)).toBe("");
  });

  it("blocks the writer when nothing is acknowledged, and drops nothing", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const bytes = 1_000_000;
    const { handle } = await peer.start({ id: "a", argv: COUNT(bytes), env: [PATH] });
    const first = await peer.read(handle, 1, { acknowledge: false, isEnough: (at) => at === RING_BYTES });
    await peer.pong();
    await peer.pong();
    expect(peer.frames).toEqual([]);
    const { records } = await init.greet();
    expect(records).toMatchObject([{ flags: 0, stdout: [0, RING_BYTES] }]);
    await using again = await init.peer();
    const rest = await again.read(handle, 1, { from: RING_BYTES });
    expect(sha(Buffer.concat([first, rest]))).toBe(sha(counted(bytes)));
    expect(await again.exit(handle)).toEqual({ kind: "exited", value: 0 });
  });

  it("goes on where RESUME says after a lost connection: nothing lost, nothing repeated", async () => {
    await using init = await InitProcess.start();
    const bytes = 3_000_000;
    const pieces: Buffer[] = [];
    let at = 0;
    {
      await using peer = await init.peer();
      const { handle } = await peer.start({ id: "a", argv: COUNT(bytes), env: [PATH] });
      expect(handle).toBe(1);
    }
    while (at < bytes) {
      await using peer = await init.peer();
      const part = await peer.read(1, 1, { from: at, isEnough: (now) => now - at >= 300_000 });
      pieces.push(part);
      at += part.length;
      // What was received but not acknowledged is simply asked for again.
    }
    expect(sha(Buffer.concat(pieces))).toBe(sha(counted(bytes)));
  });

  it("is held until acknowledged, and given again from any offset held", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["printf", "0123456789"], env: [PATH] });
    expect((await peer.read(handle, 1, { acknowledge: false })).toString()).toBe("0123456789");
    expect((await peer.read(handle, 1, { acknowledge: false, from: 4 })).toString()).toBe("456789");
    peer.send(wire.ack(handle, 1, 7), wire.ack(handle, 1, 5));
    const { records } = await init.greet();
    expect(records).toMatchObject([{ stdout: [7, 10], stderr: [0, 0] }]);
    await using again = await init.peer();
    // Below what is held the flow begins at the start of what is held.
    again.send(wire.resume(handle, 1, 2));
    const output = wire.readOutput(await again.take(wire.OUTPUT));
    expect([output.offset, output.bytes.toString()]).toEqual([7, "789"]);
    expect(wire.readOutput(await again.take(wire.OUTPUT_END)).offset).toBe(10);
  });

  it("of one flood does not starve another, nor the answers", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const flood = await peer.start({ id: "flood", argv: ["cat", "/dev/zero"], env: [PATH] });
    peer.send(wire.resume(flood.handle, 1, 0));
    let flowed = 0;
    const acknowledging = (async () => {
      while (!peer.isClosed) {
        const payload = await peer.take(wire.OUTPUT, (one) => one.readUInt32BE(0) === flood.handle).catch(() => null);
        if (payload === null) break;
        flowed = wire.readOutput(payload).offset + payload.length - 13;
        peer.send(wire.ack(flood.handle, 1, flowed));
      }
    })();
    for (let round = 0; round < 10; round += 1) {
      const { handle } = await peer.start({ id: `small${round}`, argv: ["echo", "hi"], env: [PATH] });
      expect(await peer.text(handle)).toBe("hi\n");
      await peer.exit(handle);
    }
    expect(flowed).toBeGreaterThan(RING_BYTES);
    await peer[Symbol.asyncDispose]();
    await acknowledging;
  });
});

describe("input", () => {
  it("arrives by offset: what is repeated is ignored, the end closes it", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["cat"], env: [PATH], stdin: true });
    peer.send(wire.input(handle, 0, "hello "), wire.input(handle, 0, "hello "), wire.input(handle, 3, "lo world"));
    expect(await peer.accepted(handle, 11)).toEqual({ offset: 11, closed: false });
    peer.send(wire.input(handle, 11, "!"), wire.inputEnd(handle, 12), wire.inputEnd(handle, 12));
    expect(await peer.accepted(handle, 12)).toEqual({ offset: 12, closed: false });
    expect(await peer.text(handle)).toBe("hello world!");
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 0 });
  });

  it("carries 5 MB within its window", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["sha256sum"], env: [PATH], stdin: true });
    const bytes = randomBytes(5_000_000);
    for (let at = 0; at < bytes.length; at += 30_000) {
      const end = Math.min(at + 30_000, bytes.length);
      peer.send(wire.input(handle, at, bytes.subarray(at, end)));
      await peer.accepted(handle, end);
    }
    peer.send(wire.inputEnd(handle, bytes.length));
    expect(await peer.text(handle)).toBe(`${sha(bytes)}  -\n`);
  });

  it("waits for a process that does not read; a window is 64 KiB beyond what is accepted", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["sleep", "60"], env: [PATH], stdin: true });
    const chunk = Buffer.alloc(INPUT_BYTES / 2);
    let accepted = 0;
    for (let at = 0; at - accepted < INPUT_BYTES; at += chunk.length) {
      peer.send(wire.input(handle, at, chunk));
      await peer.pong();
      const news = peer.frames.splice(0);
      // No answer without news.
      for (const { payload } of news) expect(Number(payload.readBigUInt64BE(4))).toBeGreaterThan(accepted);
      accepted = Math.max(accepted, ...news.map(({ payload }) => Number(payload.readBigUInt64BE(4))));
      expect(at + chunk.length - accepted).toBeLessThanOrEqual(INPUT_BYTES);
    }
    expect(accepted).toBeGreaterThan(0);
    peer.send(wire.input(handle, accepted + INPUT_BYTES, "x"));
    await peer.untilClosed();
  });

  it("is refused once the process has closed its end, or ended, or has none", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const closes = await peer.start({ id: "a", argv: ["sh", "-c", "exec 0<&-; sleep 60"], env: [PATH], stdin: true });
    expect(await peer.accepted(closes.handle, 1)).toEqual({ offset: 0, closed: true });
    peer.send(wire.input(closes.handle, 0, "x"));
    expect(await peer.accepted(closes.handle, 1)).toEqual({ offset: 0, closed: true });
    const ends = await peer.start({ id: "b", argv: ["true"], env: [PATH], stdin: true });
    expect(await peer.accepted(ends.handle, 1)).toEqual({ offset: 0, closed: true });
    const none = await peer.start({ id: "c", argv: ["sleep", "60"], env: [PATH] });
    peer.send(wire.input(none.handle, 0, "x"), wire.inputEnd(none.handle, 1));
    expect(await peer.accepted(none.handle, 1)).toEqual({ offset: 0, closed: true });
  });

  it("goes on over a new connection from what was accepted", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["cat"], env: [PATH], stdin: true });
    peer.send(wire.input(handle, 0, "one "));
    await peer.accepted(handle, 4);
    const { peer: second, records } = await init.greet();
    expect(records).toMatchObject([{ flags: 4, stdinAccepted: 4 }]);
    second.send(wire.input(handle, 0, "one two"), wire.inputEnd(handle, 7));
    expect(await second.text(handle)).toBe("one two");
    await second[Symbol.asyncDispose]();
  });

  for (const [what, frames] of [
    ["a gap", (handle: number) => [wire.input(handle, 1, "x")]],
    ["bytes beyond the end", (handle: number) => [wire.inputEnd(handle, 0), wire.input(handle, 0, "x")]],
    ["an end beyond the bytes", (handle: number) => [wire.inputEnd(handle, 5)]],
    ["an end below the bytes", (handle: number) => [wire.input(handle, 0, "xyz"), wire.inputEnd(handle, 2)]],
  ] as const) {
    it(`with ${what} ends the connection`, async () => {
      await using init = await InitProcess.start();
      await using peer = await init.peer();
      const { handle } = await peer.start({ id: "a", argv: ["sleep", "60"], env: [PATH], stdin: true });
      peer.send(...frames(handle));
      await peer.untilClosed();
    });
  }
});

describe("a terminal", () => {
  async function shell(init: InitProcess, script: string): Promise<{ peer: Peer; handle: number }> {
    const peer = await init.peer();
    const pty = { columns: 91, rows: 23 };
    const { handle } = await peer.start({ id: "t", argv: ["sh", "-c", script], env: [PATH], stdin: true, pty });
    return { peer, handle };
  }

  it("is the controlling one, of the size asked for, and carries everything as stdout", async () => {
    await using init = await InitProcess.start();
    const { peer, handle } = await shell(init, "tty; stty size; echo error >&2; echo own > /dev/tty; exit 4");
    await using _ = peer;
    const lines = (await peer.text(handle)).split("\r\n");
    expect(lines).toEqual([expect.stringMatching(/^\/dev\/pts\/\d+$/), "23 91", "error", "own", ""]);
    expect(await peer.text(handle, 2)).toBe("");
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 4 });
  });

  it("tells its process of a new size", async () => {
    await using init = await InitProcess.start();
    const { peer, handle } = await shell(
      init,
      "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done",
    );
    await using _ = peer;
    await peer.read(handle, 1, { isEnough: (_at, chunks) => Buffer.concat(chunks).includes("ready") });
    peer.send(wire.resize(handle, 120, 40));
    expect((await peer.read(handle, 1, { isResumed: false, from: 7 })).toString()).toBe("40 120\r\n");
  });

  it("turns ^C into an interrupt, and INPUT_END into an end of file, also within a line", async () => {
    await using init = await InitProcess.start();
    const { peer, handle } = await shell(
      init,
      "stty -echo; trap 'echo interrupted' INT; echo ready; cat || cat; echo over",
    );
    await using _ = peer;
    await peer.read(handle, 1, { isEnough: (_at, chunks) => Buffer.concat(chunks).includes("ready\r\n") });
    // A shell that is about to become cat would take the interrupt itself: a line that comes back says that cat is there.
    peer.send(wire.input(handle, 0, "a\n"));
    const isBack = (_at: number, chunks: readonly Buffer[]) => Buffer.concat(chunks).includes("a\r\n");
    await peer.read(handle, 1, { isResumed: true, from: 7, isEnough: isBack });
    peer.send(wire.input(handle, 2, "\x03"));
    await peer.read(handle, 1, {
      isResumed: true,
      from: 10,
      isEnough: (_at, chunks) => Buffer.concat(chunks).includes("interrupted\r\n"),
    });
    peer.send(wire.input(handle, 3, "part"), wire.inputEnd(handle, 7));
    const rest = await peer.read(handle, 1, { isResumed: true, from: 23 });
    expect(rest.toString()).toBe("partover\r\n");
  });

  it("hangs up when its session ends, though a child still holds it", async () => {
    await using init = await InitProcess.start();
    const { peer, handle } = await shell(init, "trap '' HUP; sleep 60 & echo ready");
    await using _ = peer;
    expect(await peer.text(handle)).toBe("ready\r\n");
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 0 });
  });

  it("with /dev/null as input when stdin is not open", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const pty = { columns: 80, rows: 24 };
    const script = "tty; tty <&1; readlink /proc/$$/fd/0; kill -KILL $$";
    const { handle } = await peer.start({ id: "t", argv: ["sh", "-c", script], env: [PATH], pty });
    const lines = (await peer.text(handle)).split("\r\n");
    expect(lines).toEqual(["not a tty", expect.stringMatching(/^\/dev\/pts\//), "/dev/null", ""]);
    expect(await peer.exit(handle)).toEqual({ kind: "signalled", value: constants.signals.SIGKILL });
  });

  it("gives its descriptors back", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { readdirSync } = await import("node:fs");
    const open = () => readdirSync(`/proc/${init.pid}/fd`).length;
    const before = open();
    for (let round = 0; round < 5; round += 1) {
      const pty = { columns: 80, rows: 24 };
      const terminal = await peer.start({ id: `t${round}`, argv: ["true"], env: [PATH], stdin: true, pty });
      const pipes = await peer.start({ id: `p${round}`, argv: ["true"], env: [PATH], stdin: true });
      await peer.startFails({ id: `f${round}`, argv: ["/no"], stdin: true, pty });
      for (const { handle } of [terminal, pipes]) {
        await peer.exit(handle);
        peer.send(wire.forget(handle));
      }
    }
    await peer.pong();
    await until(() => open() === before, "as many open descriptors as before");
  });
});
