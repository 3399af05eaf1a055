// The smuggling corpus through the running proxy: proxy and app take the same bytes for the same messages, and another
// client on the same upstream connections never notices.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { duplexPair } from "node:stream";
import { finished } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Place } from "./place.ts";
import type { AppConnection } from "./raw-app.ts";
import { RawClient, say, stammer } from "./raw-client.ts";
import type { Smuggle } from "./smuggling.ts";
import { SMUGGLES } from "./smuggling.ts";
import { readAnswers, targetOf, valuesOf } from "./strict-http.ts";

/** Longer cases are about length. */
const SHORT = 2_000;

let place: Place;
let token: string;
let canary: RawClient;
let canaries = 0;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
  canary = await RawClient.connect(place, place.a.name);
});

afterAll(async () => {
  canary?.[Symbol.dispose]();
  await place?.[Symbol.asyncDispose]();
});

/** A well-behaved client of the same sandbox, on a connection of its own that is never given up. */
async function sing(): Promise<void> {
  const target = `/canary-${canaries++}`;
  canary.send(place.fill(`GET ${target} HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n`, place.a, token));
  const answer = await canary.answer();
  expect(answer.startLine).toBe("HTTP/1.1 200 OK");
  expect(answer.body.toString()).toContain(` ${target} 0 `);
}

/** Whatever was said, proxy and app took it for the same requests, of those that the table allows; the canary sings on. */
async function attack(reaches: Smuggle["reaches"], saying: () => Promise<RawClient>): Promise<void> {
  const { app } = place.a;
  await sing();
  const before = app.requests.length;
  const client = await saying();
  await sing();
  const reached = app.requests.slice(before).filter((request) => !targetOf(request).startsWith("/canary-"));

  expect(app.problems).toEqual([]);
  expect(reaches).toContainEqual(reached.map(targetOf));
  const methods = reached.map(({ startLine }) => startLine.split(" ")[0] ?? "");
  const read = readAnswers(client.received, [...methods, ...Array<string>(60).fill("GET")], client.ending === "end");
  expect(read.problem).toBeUndefined();
  const fromApp = read.messages.filter((answer) => valuesOf(answer, "x-app").length > 0);
  expect(fromApp).toHaveLength(reached.length);
  if (reached.length === 0) expect(client.received.toString("latin1")).toMatch(/^(HTTP\/1\.1 (1|4|5)[0-9][0-9] |$)/);
}

describe("the smuggling corpus", () => {
  it("is as large as it says", () => {
    expect(SMUGGLES.length).toBeGreaterThanOrEqual(250);
    expect(new Set(SMUGGLES.map(({ name }) => name)).size).toBe(SMUGGLES.length);
  });

  for (const { name, bytes, reaches } of SMUGGLES) {
    it(name, () => attack(reaches, () => say(place, place.a.name, place.fill(bytes, place.a, token))));

    // A record of TLS for each few bytes: 3 and 11 meet each border at some place.
    if (bytes.length < SHORT) {
      it(`${name}, bit by bit`, async () => {
        const pieceBytes = bytes.length % 2 === 0 ? 3 : 11;
        await attack(reaches, () => stammer(place, place.a.name, place.fill(bytes, place.a, token), pieceBytes));
      });
    }
  }

  it("never reached the other workspace's app", () => {
    expect(place.b.app.requests).toEqual([]);
    expect(place.b.app.received()).toHaveLength(0);
  });

  it("is the same to another reader: what was forwarded, node:http takes for the same requests", async () => {
    for (const connection of place.a.app.connections) {
      // Behind a body the proxy has told the app to close: no other request may follow there.
      const isClosed = connection.messages.some((message) => valuesOf(message, "connection").includes("close"));
      const pieces = [...wholeOf(connection), ...(isClosed ? [] : [Buffer.from(LAST)])];
      const targets = [...connection.messages.map(targetOf), ...(isClosed ? [] : ["/last"])];
      expect(await readByNode(pieces)).toEqual(targets);
    }
  });
});

/**
 * What came of whole messages, each in bytes of its own, as the proxy sends them: the next after the answer. One that breaks
 * off is broken off by the end of its connection, for any reader.
 */
function wholeOf({ messages, received }: AppConnection): Buffer[] {
  const bytes = received();
  let at = 0;
  return messages.map(({ totalBytes }) => {
    at += totalBytes;
    return bytes.subarray(at - totalBytes, at);
  });
}

/** Ends the connection: all before it was read by then. */
const LAST = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** Targets of the requests that node:http's strict parser sees in these bytes. */
async function readByNode(pieces: readonly Buffer[]): Promise<string[]> {
  const targets: string[] = [];
  const server = createServer({ insecureHTTPParser: false });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    targets.push(request.url ?? "");
    request.resume().on("end", () => response.end());
  });
  server.on("clientError", (error) => targets.push(String(error)));
  const [near, far] = duplexPair();
  server.emit("connection", far);
  const over = finished(near.resume(), { writable: false });
  for (const piece of pieces) {
    near.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await over;
  return targets;
}
