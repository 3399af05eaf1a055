// Bounded, seeded fuzzing of the running proxy: requests, handshakes and answers, bent by chance. A seed that fails fails again.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Place, USER_METADATA } from "./place.ts";
import { mutated, randomFrom } from "./random.ts";
import type { Program } from "./raw-app.ts";
import { plainAnswer } from "./raw-app.ts";
import { RawClient, say } from "./raw-client.ts";
import { readAnswers, statusOf, targetOf, valuesOf } from "./strict-http.ts";

const SEEDS = [1, 2, 3, 4];
const REQUESTS = 150;
const ANSWERS = 80;

let place: Place;
let token: string;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const HEAD = "Host: {H}\r\n{A}\r\nUser-Agent: fuzz\r\n";
const SHAKE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MESSAGE = "\x81\x85\0\0\0\0HELLO";

const BASES = [
  `GET /x HTTP/1.1\r\n${HEAD}\r\n`,
  `POST /x HTTP/1.1\r\n${HEAD}Content-Length: 5\r\n\r\nhello`,
  `POST /x HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`,
  `GET /x?_connect_token={T}&a=b HTTP/1.1\r\nHost: {H}\r\nCookie: a=b; _connect_token={T}\r\n\r\n`,
  `GET /x HTTP/1.1\r\n${HEAD}\r\nPOST /y HTTP/1.1\r\n${HEAD}Content-Length: 5\r\n\r\nhelloGET /z HTTP/1.0\r\n${HEAD}\r\n`,
  `GET /ws HTTP/1.1\r\n${HEAD}${SHAKE}\r\n${MESSAGE}`,
];

/** Answers plainly; takes up a WebSocket as RFC 6455 wants, and then takes all that comes for its own. */
const program: Program = (request, connection, app) => {
  const [key] = valuesOf(request, "Sec-WebSocket-Key");
  if (key === undefined || valuesOf(request, "Upgrade").length === 0) {
    connection.socket.write(plainAnswer(app, request), "latin1");
    return;
  }
  const accept = createHash("sha1")
    .update(key + GUID)
    .digest("base64");
  connection.socket.end(
    `HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
};

async function sing(canary: RawClient): Promise<void> {
  canary.send(place.fill("GET /canary HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", place.a, token));
  expect((await canary.answer()).body.toString()).toContain(" /canary 0 ");
}

describe("requests bent by chance", () => {
  for (const seed of SEEDS) {
    it(`leave nothing to disagree about (seed ${seed})`, async () => {
      const random = randomFrom(seed);
      const { app } = place.a;
      app.program = program;
      using canary = await RawClient.connect(place, place.a.name);
      for (let round = 0; round < REQUESTS; round += 1) {
        const bytes = mutated(BASES[random(BASES.length)] ?? "", random);
        const before = app.connections.length;
        app.forget();
        const client = await say(place, place.a.name, place.fill(bytes, place.a, token));
        const about = `seed ${seed}, round ${round}: ${JSON.stringify(bytes)}`;
        const switched = app.requests.some((request) => valuesOf(request, "Upgrade").length > 0);
        const fresh = app.connections.slice(before).filter(({ problem }) => problem !== undefined);
        // A WebSocket's bytes are no HTTP; everything else must be.
        if (!switched)
          expect(
            fresh.map(({ problem }) => problem),
            about,
          ).toEqual([]);
        for (const request of app.requests) {
          expect(targetOf(request), about).not.toMatch(/^[^?]*\?(.*&)?_connect_token=/);
          expect(valuesOf(request, "X-Verified-User-Data"), about).toEqual([JSON.stringify(USER_METADATA)]);
        }
        const methods = [
          ...app.requests.map(({ startLine }) => startLine.split(" ")[0] ?? ""),
          ...Array<string>(9).fill("GET"),
        ];
        const read = readAnswers(client.received, methods, true);
        expect(read.problem, about).toBeUndefined();
        const answers = read.messages.filter((answer) => statusOf(answer) >= 200 || statusOf(answer) === 101);
        expect(answers.length, about).toBeGreaterThanOrEqual(app.requests.length);
        await sing(canary);
      }
      expect(place.b.app.requests).toEqual([]);
    }, 60_000);
  }
});

const ANSWER_BASES = [
  "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-App: a\r\n\r\nmarked-body",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-App: a\r\n\r\nb\r\nmarked-body\r\n0\r\nX-Sum: 1\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!",
  "HTTP/1.0 200 OK\r\nX-App: a\r\n\r\nmarked-body",
  "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n",
];

describe("answers bent by chance", () => {
  for (const seed of SEEDS) {
    it(`reach clients as sound HTTP, or not (seed ${seed})`, async () => {
      const random = randomFrom(1_000 + seed);
      const { app } = place.a;
      let answer = "";
      app.program = (request, connection) => {
        if (targetOf(request) === "/canary") connection.socket.write(plainAnswer(app, request), "latin1");
        else connection.socket.end(answer, "latin1");
      };
      using canary = await RawClient.connect(place, place.a.name);
      for (let round = 0; round < ANSWERS; round += 1) {
        answer = mutated(ANSWER_BASES[random(ANSWER_BASES.length)] ?? "", random);
        const client = await say(
          place,
          place.a.name,
          place.fill("GET /x HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", place.a, token),
        );
        const about = `seed ${seed}, round ${round}: ${JSON.stringify(answer)}`;
        expect(readAnswers(client.received, ["GET"], client.ending === "end").problem, about).toBeUndefined();
        await sing(canary);
      }
    }, 60_000);
  }
});
