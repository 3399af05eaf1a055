// A sandbox that lists who may come, through the running proxy: over each protocol, for each request, token or not.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headersFrame, RawH2Peer } from "../h2-peer.ts";
import { Place } from "./place.ts";
import { RawClient } from "./raw-client.ts";
import { statusOf } from "./strict-http.ts";

const HERE = ["127.0.0.1/32"];
const ELSEWHERE = ["127.0.0.2/32", "::1/128"];
const SHAKE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

let place: Place;
let token: string;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

async function list(cidrs: readonly string[] | undefined): Promise<void> {
  const inboundCidrAllowlist = cidrs === undefined ? undefined : { cidrs: [...cidrs] };
  await place.edge.tellAll({ routes: [place.route(place.a, { inboundCidrAllowlist })] });
  place.a.app.forget();
}

const request = (more = "") =>
  place.fill(`GET / HTTP/1.1\r\nHost: {H}\r\n{A}\r\n${more}X-Forwarded-For: 127.0.0.2\r\n\r\n`, place.a, token);

describe("an address that may not come", () => {
  it("is refused over HTTP/1.1, request by request", async () => {
    await list(ELSEWHERE);
    using client = await RawClient.connect(place, place.a.name);
    for (let count = 0; count < 2; count += 1) {
      client.send(request());
      const answer = await client.answer();
      expect([statusOf(answer), JSON.parse(answer.body.toString())]).toMatchObject([
        403,
        { code: "AddressNotAllowed" },
      ]);
    }
    await list(undefined);
    client.send(request());
    expect(statusOf(await client.answer())).toBe(200);
    await list([]);
    client.send(request());
    expect(statusOf(await client.answer())).toBe(403);
    expect(place.a.app.requests).toEqual([]);
  });

  it("is refused over HTTP/2, stream by stream", async () => {
    await list(ELSEWHERE);
    using peer = await RawH2Peer.connect({ port: place.port, servername: place.a.name, ca: place.ca });
    const fields = { ":method": "GET", ":scheme": "https", ":authority": place.a.host, ":path": "/" };
    const head = [
      ...Object.entries(fields),
      ["authorization", `Bearer ${token}`],
      ["x-forwarded-for", "127.0.0.2"],
    ] as const;
    for (const stream of [1, 3]) {
      peer.send(headersFrame(stream, head));
      expect(JSON.parse((await peer.answer(stream)).body)).toMatchObject({ code: "AddressNotAllowed" });
    }
    expect(place.a.app.requests).toEqual([]);
    await list(HERE);
    peer.send(headersFrame(5, head));
    expect((await peer.answer(5)).status).toBe(200);
  });

  it("opens no WebSocket", async () => {
    await list(ELSEWHERE);
    using client = await RawClient.connect(place, place.a.name);
    client.send(request(SHAKE));
    expect(statusOf(await client.answer())).toBe(403);
    expect(place.a.app.requests).toEqual([]);
    await list(HERE);
    client.send(request(SHAKE));
    await client.answer();
    expect(place.a.app.requests).toHaveLength(1);
  });
});
