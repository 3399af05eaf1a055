// Connections that nobody reads, and whose peers go.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { noticeGonePeer } from "./gone-peers.ts";

let cleanUp = new AsyncDisposableStack();
afterEach(async () => {
  await cleanUp.disposeAsync();
  cleanUp = new AsyncDisposableStack();
});

/** Both ends of a connection over TCP, or over a Unix socket. */
async function pair(kind: "tcp" | "unix"): Promise<{ peer: Socket; ours: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  cleanUp.defer(() => void server.close());
  const directory = await mkdtemp(join(tmpdir(), "gone-"));
  cleanUp.defer(() => rm(directory, { recursive: true }));
  const path = join(directory, "s");
  server.listen(kind === "unix" ? { path } : { port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const address = server.address();
  if (address === null) throw new Error("no address");
  const options = typeof address === "string" ? { path } : { port: address.port, host: "127.0.0.1" };
  const peer = connect({ ...options, allowHalfOpen: true });
  const [ours] = (await once(server, "connection")) as [Socket];
  for (const socket of [peer, ours]) {
    socket.on("error", () => socket.destroy());
    cleanUp.defer(() => void socket.destroy());
  }
  return { peer, ours };
}

/** Has the peer send more than the kernel and we take. */
async function fill(peer: Socket, ours: Socket): Promise<void> {
  ours.once("data", () => ours.pause());
  peer.write(Buffer.alloc(16_777_216));
  let before = -1;
  await vi.waitFor(() => {
    const isStill = ours.isPaused() && ours.bytesRead === before;
    before = ours.bytesRead;
    expect(isStill).toBe(true);
  });
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

describe("a peer of a connection that nobody reads", () => {
  it.each([
    ["resets it", "tcp"],
    ["closes it", "unix"],
  ] as const)("%s (%s)", async (_how, kind) => {
    const { ours, peer } = await pair(kind);
    await fill(peer, ours);
    noticeGonePeer({ stream: ours }, { everyMs: 5 });
    const closed = closeOf(ours);
    if (kind === "tcp") peer.resetAndDestroy();
    else peer.destroy();
    await closed;
  });

  it("ends its half, or only waits: nothing is lost", async () => {
    const { ours, peer } = await pair("tcp");
    await fill(peer, ours);
    noticeGonePeer({ stream: ours }, { everyMs: 5, stuckMs: 0 });
    peer.end();
    const write = vi.spyOn(ours, "write");
    await vi.waitFor(() => expect(write.mock.calls.length).toBeGreaterThan(3)); // looked at
    ours.resume();
    await once(ours, "end");
    expect(ours.bytesRead).toBe(16_777_216);
  });

  it("goes when we have ended our half: it is not held for ever", async () => {
    const { ours, peer } = await pair("unix");
    await fill(peer, ours);
    ours.end();
    noticeGonePeer({ stream: ours }, { everyMs: 5, stuckMs: 50 });
    const closed = closeOf(ours);
    peer.destroy();
    await closed;
  });
});
