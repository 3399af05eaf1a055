// A real child at sockets that the supervisor keeps: killed, replaced, broken. Nobody who connects meanwhile is refused.
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { NetConnectOpts, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Child } from "./child.ts";

const GREETER = new URL("../test/greeter.ts", import.meta.url).pathname;
const never = new AbortController().signal;

let directory: string;
let port: number;
let child: Child;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "child-"));
  port = await freePort();
  child = greeter();
  await child.start(never);
});
afterEach(async () => {
  await child[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

function greeter(): Child {
  return new Child({
    name: "greeter",
    argv: [process.execPath, "--conditions=@sallyport/source", GREETER],
    env: { NAMES: "tcp,unix", BROKEN: join(directory, "broken") },
    logFile: join(directory, "log"),
    kept: [
      { name: "tcp", at: { host: "127.0.0.1", port }, shared: false },
      { name: "unix", path: join(directory, "unix.sock"), uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    ],
    logger: silentLogger,
    keptWithoutChildMs: 500,
  });
}

/** Connects, and reads by whom it was greeted. */
async function greeted(where: NetConnectOpts = { host: "127.0.0.1", port }): Promise<{ pid: number; socket: Socket }> {
  const socket = connect(where);
  const [chunk] = (await once(socket, "data")) as [Buffer];
  return { pid: Number(chunk.toString()), socket };
}

async function pidAt(where?: NetConnectOpts): Promise<number> {
  const { pid, socket } = await greeted(where);
  socket.destroy();
  return pid;
}

describe("a child at kept sockets", () => {
  it("serves those who came while it was dead", async () => {
    const before = await pidAt();
    process.kill(before, "SIGKILL");
    const pids = await Promise.all([pidAt(), pidAt({ path: join(directory, "unix.sock") }), pidAt()]);
    expect(new Set(pids).size).toBe(1);
    expect(pids).not.toContain(before);
    expect(child.status).toMatchObject({ state: "ready", restarts: 1, pid: pids[0] });
  });

  it("has its Unix socket open to owner and group alone", () => {
    expect(statSync(join(directory, "unix.sock")).mode & 0o777).toBe(0o660);
  });

  it("is replaced while clients come and stay, and none of them is refused or cut", async () => {
    const stayed = await greeted();
    let isOver = false;
    const pids = new Set<number>();
    const coming = [1, 2, 3, 4].map(async () => {
      while (!isOver) pids.add(await pidAt());
    });
    await child.replace();
    const after = child.status;
    expect(after).toMatchObject({ state: "ready", restarts: 0, drainingPid: stayed.pid });
    expect(await pidAt({ path: join(directory, "unix.sock") })).toBeTypeOf("number");
    // From when the one before listens no more, all is the new one's.
    await expect.poll(() => [...pids]).toContain(after.pid);
    isOver = true;
    await Promise.all(coming);
    expect([...pids].every((pid) => [stayed.pid, after.pid].includes(pid))).toBe(true);
    await expect(child.replace()).rejects.toThrow("still lets its connections end");
    const rest = text(stayed.socket);
    stayed.socket.end("bye");
    expect(await rest).toBe("bye");
    await expect.poll(() => child.status.drainingPid).toBeUndefined();
    await child.replace();
    expect(child.status.pid).not.toBe(after.pid);
  });

  it("goes on where the one that is to replace it does not become ready", async () => {
    const before = child.status;
    writeFileSync(join(directory, "broken"), "");
    await expect(child.replace()).rejects.toThrow("did not become ready");
    expect(child.status).toEqual(before);
    expect(await pidAt()).toBe(before.pid);
  });

  it("has those refused who come while it cannot be started any more, and takes them again", async () => {
    writeFileSync(join(directory, "broken"), "");
    process.kill(await pidAt(), "SIGKILL");
    await expect
      .poll(() => pidAt().catch((error: Error) => error.message), { timeout: 15_000 })
      .toContain("ECONNREFUSED");
    rmSync(join(directory, "broken"));
    await child.start(never);
    expect(await pidAt()).toBe(child.status.pid);
  });

  it("takes no successor with it where it dies while that one starts", async () => {
    const before = child.status.pid ?? 0;
    const replaced = child.replace();
    await expect.poll(() => process.kill(before, 0)).toBe(true);
    process.kill(before, "SIGKILL");
    await replaced;
    expect(await pidAt()).toBe(child.status.pid);
    expect(child.status).toMatchObject({ state: "ready", restarts: 0 });
  });
});
