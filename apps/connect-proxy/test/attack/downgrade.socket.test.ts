// Requests of HTTP/2 that would become two of HTTP/1.1, or another one, when they are written down: as raw frames. What the
// app gets is what the stream said, or nothing; a client of HTTP/1.1 on the same upstream connections never notices.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FLAG, FRAME, frame, headersFrame, RawH2Peer } from "../h2-peer.ts";
import { Place } from "./place.ts";
import { RawClient } from "./raw-client.ts";
import { targetOf } from "./strict-http.ts";

let place: Place;
let token: string;
let canary: RawClient;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
  canary = await RawClient.connect(place, place.a.name);
});

afterAll(async () => {
  canary?.[Symbol.dispose]();
  await place?.[Symbol.asyncDispose]();
});

type Field = readonly [name: string, value: string];

interface Downgrade {
  /** In place of the usual pseudo-headers of those names, or twice where there are two. */
  readonly pseudo?: readonly Field[];
  readonly fields?: readonly Field[];
  /** DATA; none when unset. */
  readonly body?: string;
  /** What the app may get of it; all of it when unset. */
  readonly arrives?: string;
  readonly trailers?: readonly Field[];
  /** Whether the app may get it: as `/a`, with the body. Undefined: either. */
  readonly reaches?: boolean;
}

const HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n";
const CHUNKED = `0\r\n\r\n${HIDDEN}`;
const POST: Field = [":method", "POST"];

const CASES: Readonly<Record<string, Downgrade>> = {
  plain: { reaches: true },
  "a body": { pseudo: [POST], body: HIDDEN, reaches: true },
  "a body with its length": { pseudo: [POST], fields: [["content-length", "5"]], body: "hello", reaches: true },
  // Whole with its head, and gone by then; what follows resets the stream.
  "length 0 and a body": { pseudo: [POST], fields: [["content-length", "0"]], body: HIDDEN, arrives: "" },
  "a length too short": { pseudo: [POST], fields: [["content-length", "5"]], body: `hello${HIDDEN}`, reaches: false },
  "a length too long": { pseudo: [POST], fields: [["content-length", "500"]], body: "hello", reaches: false },
  "a length and no body": { pseudo: [POST], fields: [["content-length", "5"]], reaches: false },
  "a length twice": {
    pseudo: [POST],
    fields: [
      ["content-length", "5"],
      ["content-length", "5"],
    ],
    body: "hello",
    reaches: false,
  },
  "two lengths": {
    pseudo: [POST],
    fields: [
      ["content-length", "5"],
      ["content-length", "0"],
    ],
    body: "hello",
    reaches: false,
  },
  "a list of lengths": { pseudo: [POST], fields: [["content-length", "5, 5"]], body: "hello", reaches: false },
  "a length with a sign": { pseudo: [POST], fields: [["content-length", "+5"]], body: "hello", reaches: false },
  "a length with _": { pseudo: [POST], fields: [["content_length", "50"]], body: "hello" },
  "a coding": { pseudo: [POST], fields: [["transfer-encoding", "chunked"]], body: CHUNKED },
  "a coding with _": { pseudo: [POST], fields: [["transfer_encoding", "chunked"]], body: CHUNKED },
  "a coding beside a length": {
    pseudo: [POST],
    fields: [
      ["transfer-encoding", "chunked"],
      ["content-length", String(CHUNKED.length)],
    ],
    body: CHUNKED,
  },
  "a coding in capitals": { pseudo: [POST], fields: [["Transfer-Encoding", "chunked"]], body: CHUNKED },
  "a coding in a name": { pseudo: [POST], fields: [["x: y\r\ntransfer-encoding", "chunked"]], body: CHUNKED },
  "a coding in a value": { pseudo: [POST], fields: [["x", "y\r\ntransfer-encoding: chunked"]], body: CHUNKED },
  "a coding in a value, by LF": { pseudo: [POST], fields: [["x", "y\ntransfer-encoding: chunked"]], body: CHUNKED },
  "a coding behind a colon": { pseudo: [POST], fields: [["transfer-encoding:", "chunked"]], body: CHUNKED },
  "a request in a value": { fields: [["x", `y\r\n\r\n${HIDDEN}`]] },
  "a request in a name": { fields: [[`x: y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost`, "z"]] },
  "a request in a path": { pseudo: [[":path", `/a HTTP/1.1\r\nHost: {H}\r\n\r\n${HIDDEN}`]], reaches: false },
  "a version in a path": { pseudo: [[":path", "/a HTTP/1.0"]], reaches: false },
  "a line's end in a path": { pseudo: [[":path", "/a\r\nx: y"]], reaches: false },
  "a tab in a path": { pseudo: [[":path", "/a\tb"]], reaches: false },
  "a NUL in a path": { pseudo: [[":path", "/a\0"]], reaches: false },
  "a fragment in a path": { pseudo: [[":path", "/a#b"]], reaches: false },
  "no slash in a path": { pseudo: [[":path", "a"]], reaches: false },
  "an empty path": { pseudo: [[":path", ""]], reaches: false },
  "another host in a path": { pseudo: [[":path", "https://{O}/a"]], reaches: false },
  "two paths": {
    pseudo: [
      [":path", "/a"],
      [":path", "/smuggled"],
    ],
    reaches: false,
  },
  "a request in a method": {
    pseudo: [[":method", `GET /smuggled HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\nGET`]],
    reaches: false,
  },
  "a blank in a method": { pseudo: [[":method", "GET /smuggled"]], reaches: false },
  CONNECT: { pseudo: [[":method", "CONNECT"]], reaches: false },
  "two methods": { pseudo: [[":method", "GET"], POST], reaches: false },
  "another scheme": { pseudo: [[":scheme", "http"]] },
  "a URL in a scheme": { pseudo: [[":scheme", "https://{O}/?"]], reaches: false },
  "another authority": { pseudo: [[":authority", "{O}"]], reaches: false },
  "two authorities": {
    pseudo: [
      [":authority", "{H}"],
      [":authority", "{O}"],
    ],
    reaches: false,
  },
  "an authority with a user": { pseudo: [[":authority", "x@{H}"]], reaches: false },
  "an authority with a path": { pseudo: [[":authority", "{H}/x"]], reaches: false },
  "an authority with a line's end": { pseudo: [[":authority", "{H}\r\nx: y"]], reaches: false },
  "another host": { fields: [["host", "{O}"]], reaches: false },
  "a pseudo-header that nobody knows": { pseudo: [[":smuggled", "1"]], reaches: false },
  "an extended CONNECT": {
    pseudo: [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
    ],
    reaches: false,
  },
  "a status": { pseudo: [[":status", "200"]], reaches: false },
  "a pseudo-header behind others": {
    fields: [
      ["x", "y"],
      [":path", "/smuggled"],
    ],
    reaches: false,
  },
  "a connection": { fields: [["connection", "close, transfer-encoding"]] },
  "te, chunked": { fields: [["te", "chunked"]] },
  "trailers that frame": {
    pseudo: [POST],
    body: "hello",
    trailers: [
      ["content-length", "500"],
      ["transfer-encoding", "chunked"],
    ],
  },
  "a path in trailers": { pseudo: [POST], body: "hello", trailers: [[":path", "/smuggled"]], reaches: false },
  "a request in trailers": { pseudo: [POST], body: "hello", trailers: [["x", `y\r\n\r\n${HIDDEN}`]] },
  "an expectation of something else": { pseudo: [POST], fields: [["expect", "200-ok"]], body: "hello", reaches: false },
};

function framesOf({ pseudo = [], fields = [], body, trailers }: Downgrade): Buffer[] {
  const fill = (field: Field): Field => [place.fill(field[0], place.a, token), place.fill(field[1], place.a, token)];
  const usual: readonly Field[] = [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "{H}"],
    [":path", "/a"],
  ];
  const kept = usual.filter(([name]) => !pseudo.some(([other]) => other === name));
  const head = [...kept, ...pseudo, ["authorization", "Bearer {T}"] as const, ...fields].map(fill);
  const frames = [headersFrame(1, head, body === undefined && trailers === undefined)];
  const flags = trailers === undefined ? FLAG.endStream : FLAG.none;
  if (body !== undefined)
    frames.push(frame(FRAME.data, flags, 1, Buffer.from(place.fill(body, place.a, token), "latin1")));
  if (trailers !== undefined) frames.push(headersFrame(1, trailers.map(fill)));
  return frames;
}

async function sing(): Promise<void> {
  canary.send(place.fill("GET /canary HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", place.a, token));
  expect((await canary.answer()).body.toString()).toContain(" /canary 0 ");
}

describe("a request of HTTP/2", () => {
  for (const [name, row] of Object.entries(CASES)) {
    it(name, async () => {
      const { app } = place.a;
      await sing();
      app.forget();
      {
        using peer = await RawH2Peer.connect({ port: place.port, servername: place.a.name, ca: place.ca });
        peer.send(...framesOf(row));
        await peer.answer(1);
      }
      await sing();
      const reached = app.requests.filter((request) => targetOf(request) !== "/canary");
      expect(app.problems).toEqual([]);
      expect(reached.map(targetOf)).toEqual(reached.length === 0 ? [] : ["/a"]);
      const body = place.fill(row.arrives ?? row.body ?? "", place.a, token);
      expect(reached.map((request) => request.body.toString("latin1"))).toEqual(reached.map(() => body));
      if (row.reaches !== undefined) expect(reached.length > 0).toBe(row.reaches);
    });
  }

  it("never reached the other workspace's app", () => {
    expect(place.b.app.received()).toHaveLength(0);
  });
});
