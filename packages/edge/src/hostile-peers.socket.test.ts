// Peers that say nothing, half of it, too much, or anything at all: what they hold is bounded, and gone with them.

import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { greet, HOST, helloOf, rawDial, readAll } from "../test/clients.ts";
import type { TestDoor } from "../test/door.ts";
import { startDoor } from "../test/door.ts";
import { MAX_HELLO_BYTES } from "./edge-limits.ts";

const LISTED = "127.0.0.8";
const FLOODER = "127.0.0.9";
const FLOOD = 300;

const sendsProxyHeader = (address: string) => address === LISTED;

/** Connections that may be cut at any time. */
function flood(door: TestDoor, localAddress: string, each: (socket: Socket) => void): Promise<void>[] {
  return Array.from({ length: FLOOD }, () => {
    const socket = connectTcp({ host: "127.0.0.1", port: door.port, localAddress });
    const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => socket.destroy());
    socket.once("connect", () => each(socket));
    socket.resume();
    return over;
  });
}

function isEmpty(door: TestDoor): void {
  expect([door.admission.open, door.admission.handshakes]).toEqual([0, 0]);
}

describe("a flood", () => {
  it.each([
    ["of silent connections", (): Buffer | undefined => undefined],
    ["of half hellos", (hello: Buffer) => hello.subarray(0, 100)],
    ["of hellos whose handshake nobody goes on with", (hello: Buffer) => hello],
  ])("%s is bounded, keeps nobody out, and leaves nothing", async (_what, bytesOf) => {
    await using door = await startDoor({ limits: { handshakes: 32, connections: 64, handshakeMs: 1_500 } });
    expect(await greet(door, { servername: HOST })).toContain("hello"); // its certificate is there
    const bytes = bytesOf(await helloOf(HOST));
    let most = 0;
    const over = flood(door, FLOODER, (socket) => {
      if (bytes !== undefined) socket.write(bytes);
      most = Math.max(most, door.admission.handshakes, door.admission.open / 2);
    });
    await vi.waitFor(() => expect(door.refused.length).toBeGreaterThan(FLOOD / 2));
    expect(await greet(door, { servername: HOST })).toContain("hello");
    await Promise.all(over);
    expect(most).toBeLessThanOrEqual(32);
    await vi.waitFor(() => isEmpty(door));
    expect(door.refused).toHaveLength(FLOOD);
    expect(new Set(door.refused)).toEqual(new Set(["handshakes", "shed", "timeout"]));
  });

  it("of connections whose client has closed its half leaves nothing", async () => {
    await using door = await startDoor();
    expect(await greet(door, { servername: HOST })).toContain("hello"); // its certificate is there
    const hello = await helloOf(HOST);
    let count = 0;
    await Promise.all(
      flood(door, FLOODER, (socket) => {
        count += 1;
        const said = count % 2 === 0 ? hello : hello.subarray(0, 60);
        if (count % 5 === 0) socket.end();
        else if (count % 5 < 3) socket.end(said);
        else socket.write(said, () => socket.resetAndDestroy());
      }),
    );
    await vi.waitFor(() => isEmpty(door));
    await vi.waitFor(() => expect(door.refused).toHaveLength(FLOOD));
    expect(new Set(door.refused)).toEqual(new Set(["broken"]));
  });

  it("of headers that do not come is bounded, and no longer than their time", async () => {
    await using door = await startDoor({ sendsProxyHeader, limits: { handshakes: 32, handshakeMs: 1_500 } });
    const half = formatProxyHeader({ kind: "local" }).subarray(0, 11);
    let most = 0;
    const over = flood(door, LISTED, (socket) => {
      socket.write(half);
      most = Math.max(most, door.admission.handshakes);
    });
    await Promise.all(over);
    expect(most).toBeLessThanOrEqual(32);
    await vi.waitFor(() => isEmpty(door));
    expect(door.refused).toHaveLength(FLOOD);
    expect(new Set(door.refused)).toEqual(new Set(["handshakes", "timeout"]));
    expect(await greet(door, { servername: HOST })).toContain("hello");
  });
});

describe("a hello that does not end", () => {
  it("is read so far and no farther", async () => {
    await using door = await startDoor();
    const socket = await rawDial(door);
    // Records of a ClientHello that announces 64 KiB; each holds 1 KiB of it.
    const record = Buffer.concat([Buffer.from([22, 3, 1, 4, 0]), Buffer.alloc(1_024)]);
    const first = Buffer.from(record);
    first.set([1, 0, 0xff, 0xff], 5);
    const answer = readAll(socket);
    socket.write(first);
    for (let count = 1; count * record.length < 2 * MAX_HELLO_BYTES; count += 1) {
      socket.write(record);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await answer;
    expect(door.refused).toEqual(["not-tls"]);
    await vi.waitFor(() => isEmpty(door));
  });
});

describe("anything at all", () => {
  /** What may come first, so that what follows it is read, too. */
  const prefixes = async () => {
    const hello = await helloOf(HOST);
    const source = { address: "198.51.100.7", port: 1 };
    const header = formatProxyHeader({ kind: "tcp", source, destination: source });
    return [
      Buffer.alloc(0),
      hello,
      hello.subarray(0, 43),
      header,
      header.subarray(0, 14),
      Buffer.concat([header, hello]),
    ];
  };

  it.each([
    ["from strangers", (door: TestDoor) => rawDial(door)],
    ["from a listed peer", (door: TestDoor) => rawDial(door, LISTED)],
    [
      "at the hand-over socket",
      async ({ handOverPath }: TestDoor) => {
        const socket = connectTcp({ path: handOverPath });
        await new Promise((resolve) => socket.once("connect", resolve));
        return socket;
      },
    ],
  ])("%s ends in a refusal, and leaves nothing", async (_where, enter) => {
    await using door = await startDoor({ sendsProxyHeader });
    const start = await prefixes();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...start),
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.nat({ max: 300 }), { maxLength: 4 }),
        fc.boolean(),
        async (prefix, garbage, cuts, isReset) => {
          const socket = await enter(door);
          socket.setNoDelay(true);
          const before = door.refused.length;
          const answer = readAll(socket);
          const bytes = Buffer.concat([prefix, garbage]);
          let at = 0;
          for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
            if (socket.destroyed) break;
            socket.write(bytes.subarray(at, cut));
            at = Math.max(at, cut);
            await new Promise((resolve) => setImmediate(resolve));
          }
          // A Unix socket knows no reset.
          if (isReset && socket.remotePort !== undefined) socket.resetAndDestroy();
          else if (isReset) socket.destroy();
          else socket.end();
          await answer;
          await vi.waitFor(() => isEmpty(door));
          expect(door.refused.length).toBeLessThanOrEqual(before + 1);
        },
      ),
      { numRuns: 150 },
    );
    expect(door.entered).toEqual([]);
    expect(await greet(door, { servername: HOST })).toContain("hello");
  });
});
