// That a socket is made where nobody is, and nowhere else.
import { once } from "node:events";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { listenAtOwnSocket } from "./own-socket.ts";

async function place() {
  const directory = await mkdtemp(join(tmpdir(), "own-socket-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const server = createServer();
  onTestFinished(() => void server.close());
  return { directory, path: join(directory, "own.sock"), server };
}

describe("a socket of one's own", () => {
  it.each([0o600, 0o660])("has the mode that it is given (%o)", async (mode) => {
    const { path, server } = await place();
    await listenAtOwnSocket(server, path, mode);
    expect((await stat(path)).mode & 0o777).toBe(mode);
  });

  it("takes the place of what a killed predecessor left", async () => {
    const { directory, path, server } = await place();
    const killed = createServer().listen(join(directory, "killed.sock"));
    await once(killed, "listening");
    await rename(join(directory, "killed.sock"), path); // what a close removes is not there
    killed.close();
    await once(killed, "close");
    expect((await stat(path)).isSocket()).toBe(true);
    await listenAtOwnSocket(server, path, 0o600);
    const socket = connect({ path });
    await once(socket, "connect");
    socket.destroy();
  });

  it("is never another process's, and no file", async () => {
    const { directory, path, server } = await place();
    await listenAtOwnSocket(server, path, 0o600);
    await expect(listenAtOwnSocket(createServer(), path, 0o600)).rejects.toThrow(`it answers at ${path}`);
    const file = join(directory, "file");
    await writeFile(file, "mine");
    await expect(listenAtOwnSocket(createServer(), file, 0o600)).rejects.toThrow("is no socket");
    await expect(listenAtOwnSocket(createServer(), join(directory, "a/b"), 0o600)).rejects.toThrow("EACCES");
    expect((await stat(file)).size).toBe(4);
  });
});
