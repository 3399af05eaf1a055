// Answers that come in one read each, with the same head again and again: the shortest way through the proxy, on which
// content is copied out of memory that is read into again. Each client gets its own, however slowly it reads.
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { App, Peer } from "./world.ts";
import { head, ok, World } from "./world.ts";

/** Together more than the kernel holds for one who does not read. */
const LENGTH = 12_000;
const COUNT = 600;

/** The same length for each, and no two alike. */
function content(name: string): string {
  let text = "";
  for (let part = 0; text.length < LENGTH; part += 1)
    text += createHash("sha256").update(`${name} ${part}`).digest("hex");
  return text.slice(0, LENGTH);
}

/** Answers `GET /name` by its content, as `write` has it. */
function app(write: (answer: string) => readonly string[]): App {
  return (socket) => {
    let text = "";
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const name = text.slice(text.indexOf("/") + 1, text.indexOf(" HTTP/"));
        text = text.slice(end + 4);
        for (const piece of write(ok(content(name)))) socket.write(piece, "latin1");
      }
    });
  };
}

const names = (client: string) => Array.from({ length: COUNT }, (_, at) => `${client}-${at}`);
const ask = (client: string) => names(client).map((name) => head(`GET /${name}`));

/** What came, without heads. */
function contents(text: string): string[] {
  return text
    .split("HTTP/1.1 200 OK\r\n")
    .slice(1)
    .map((answer) => answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

/** Resolves when this was the last to come. */
function endsWith(peer: Peer, last: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let tail = "";
  peer.socket.on("data", (data: Buffer) => {
    tail = (tail + data.toString("latin1")).slice(-last.length);
    if (tail === last) resolve();
  });
  return promise;
}

it("each client gets its own answers, whole and in order, one that does not read for long too", async () => {
  await using world = await World.start({ app: app((answer) => [answer]) });
  const clients = ["slow", "a", "b", "c"];
  const peers = await Promise.all(clients.map(() => world.connect()));
  const all = peers.map((peer, at) => endsWith(peer, content(`${clients[at]}-${COUNT - 1}`)));
  const [slow] = peers;
  slow?.socket.pause();
  for (const [at, peer] of peers.entries()) peer.send(ask(clients[at] ?? "").join(""));
  await Promise.all(all.slice(1));
  expect(slow?.bytes.length).toBeLessThan(COUNT * LENGTH);
  slow?.socket.resume();
  await all[0];
  for (const [at, peer] of peers.entries()) expect(contents(peer.text)).toEqual(names(clients[at] ?? "").map(content));
  for (const peer of peers) peer[Symbol.dispose]();
});

it.each([
  ["in two pieces", (answer: string) => [answer.slice(0, 100), answer.slice(100)]],
  ["with a head of its own each", (answer: string) => [answer.replace("200 OK", `200 OK\r\nX-A: ${Math.random()}`)]],
  ["behind an informational one", (answer: string) => [`HTTP/1.1 103 Early Hints\r\n\r\n${answer}`]],
])("an answer that comes %s is as whole", async (_how, write) => {
  await using world = await World.start({ app: app(write) });
  using peer = await world.connect();
  for (const name of ["x", "y", "z"]) {
    peer.send(head(`GET /${name}`));
    await peer.until((text) => text.endsWith(content(name)));
  }
  expect(world.ends.map(({ outBytes, outcome, status }) => [outBytes, outcome, status])).toEqual(
    Array.from({ length: 3 }, () => [LENGTH, "complete", 200]),
  );
});

it("bytes behind a whole answer end its connection, and reach nobody", async () => {
  const stray = ok("stray");
  await using world = await World.start({
    app: app((answer) => [answer.includes(content("2")) ? answer + stray : answer]),
  });
  using peer = await world.connect();
  for (const name of ["0", "1", "2", "3", "4"]) {
    peer.send(head(`GET /${name}`));
    await peer.until((text) => text.endsWith(content(name)));
  }
  expect(peer.text).not.toContain("stray");
  expect(world.appSockets).toHaveLength(2);
});

it("no content is an answer, too", async () => {
  await using world = await World.start({
    app: (socket) => {
      socket.on("data", () => socket.write(ok("")));
    },
  });
  using peer = await world.connect();
  for (let count = 1; count <= 3; count += 1) {
    peer.send(head("GET /"));
    await peer.until((text) => text.split("Content-Length: 0\r\n").length === count + 1 && text.endsWith("\r\n\r\n"));
  }
  expect(world.ends.map(({ outBytes }) => outBytes)).toEqual([0, 0, 0]);
});
