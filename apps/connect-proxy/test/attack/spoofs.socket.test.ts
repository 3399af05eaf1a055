// The header matrix: whatever a client sends to be taken for somebody else, the app sees what the token says, and no more.
import { TOKEN_PREFIX } from "@sallyport/connect-token/verify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headersFrame, RawH2Peer } from "../h2-peer.ts";
import { Place, USER_METADATA } from "./place.ts";
import { say } from "./raw-client.ts";
import type { Spoof } from "./spoofs.ts";
import { FORGED_ADDRESS, MARK, SPOOFS, SPOOFS2 } from "./spoofs.ts";
import type { ReadMessage } from "./strict-http.ts";
import { readAnswers, statusOf, valuesOf } from "./strict-http.ts";

const AT_LEAST = 80;
/** How an app could know the header: as CGI, WSGI and the like fold names. */
const FOLDED = /^(http)?x?verifieduser(data|assertion)$/;

let place: Place;
/** One with user data, one without: there not even an empty header may arrive. */
let tokens: { readonly named: string; readonly nameless: string };

beforeAll(async () => {
  place = await Place.start();
  const [named, nameless] = [await place.token(place.a), await place.token(place.a, { userMetadata: undefined })];
  tokens = { named, nameless };
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

/** What must hold of every request that reached the app. */
function expectClean(request: ReadMessage, named: boolean): void {
  const fields = [...request.headers, ...request.trailers];
  const own = fields.filter(([name]) => FOLDED.test(name.toLowerCase().replaceAll(/[^a-z]/g, "")));
  expect(own.map(([name]) => name)).toEqual(
    named ? ["X-Verified-User-Data", "X-Verified-User-Assertion"] : ["X-Verified-User-Assertion"],
  );
  expect(valuesOf(request, "X-Verified-User-Data")).toEqual(named ? [JSON.stringify(USER_METADATA)] : []);
  expect(valuesOf(request, "Host")).toEqual([place.a.host]);
  const text = JSON.stringify([request.startLine, fields]);
  for (const forbidden of [MARK, FORGED_ADDRESS, TOKEN_PREFIX]) expect(text).not.toContain(forbidden);
}

describe("over HTTP/1.1", () => {
  it("holds as many variants as it says", () => {
    expect(SPOOFS.length).toBeGreaterThanOrEqual(AT_LEAST);
    expect(new Set(SPOOFS.map(({ name }) => name)).size).toBe(SPOOFS.length);
  });

  for (const spoof of SPOOFS) {
    for (const kind of ["named", "nameless"] as const) {
      it(`${spoof.name} (${kind})`, async () => {
        const { app } = place.a;
        app.forget();
        const bytes = place.fill(requestOf(spoof, kind), place.a, tokens[kind]);
        const client = await say(place, place.a.name, bytes.replaceAll("{T}", tokens.named));
        expect(app.problems).toEqual([]);
        for (const request of app.requests) expectClean(request, kind === "named");
        const { messages } = readAnswers(client.received, ["GET"], true);
        const status = statusOf(messages.at(-1) ?? failNoAnswer(client.received));
        expect(app.requests).toHaveLength(status === 200 ? 1 : 0);
        if (spoof.reaches !== undefined) expect([spoof.name, status === 200]).toEqual([spoof.name, spoof.reaches]);
      });
    }
  }

  it("without a token nothing arrives at all", async () => {
    const before = place.a.app.received().length;
    for (const spoof of SPOOFS.filter(({ trailers, target }) => trailers === undefined && target === undefined)) {
      const bytes = requestOf(spoof, "named").replace("{A}\r\n", "").replaceAll("{T}", "x");
      await say(place, place.a.name, place.fill(bytes, place.a, ""));
    }
    expect(place.a.app.received()).toHaveLength(before);
  });
});

describe("over HTTP/2", () => {
  it("holds as many variants as it says", () => {
    expect(SPOOFS2.length).toBeGreaterThanOrEqual(60);
    expect(new Set(SPOOFS2.map(({ name }) => name)).size).toBe(SPOOFS2.length);
  });

  for (const spoof of SPOOFS2) {
    for (const kind of ["named", "nameless"] as const) {
      it(`${spoof.name} (${kind})`, async () => {
        const { app } = place.a;
        app.forget();
        using peer = await RawH2Peer.connect({ port: place.port, servername: place.a.name, ca: place.ca });
        const pseudo = [
          [":method", "GET"],
          [":scheme", "https"],
          [":authority", place.a.host],
          [":path", "/"],
        ] as const;
        const fields = [...pseudo, ["authorization", `Bearer ${tokens[kind]}`] as const, ...spoof.fields];
        peer.send(headersFrame(1, fields, spoof.trailers === undefined));
        if (spoof.trailers !== undefined) peer.send(headersFrame(1, spoof.trailers));
        const { status } = await peer.answer(1);
        expect(app.problems).toEqual([]);
        for (const request of app.requests) expectClean(request, kind === "named");
        expect(app.requests).toHaveLength(status === 200 ? 1 : 0);
      });
    }
  }

  it("forwards what is not forged", async () => {
    place.a.app.forget();
    using peer = await RawH2Peer.connect({ port: place.port, servername: place.a.name, ca: place.ca });
    const fields = { ":method": "GET", ":scheme": "https", ":authority": place.a.host, ":path": "/plain" };
    peer.send(headersFrame(1, [...Object.entries(fields), ["authorization", `Bearer ${tokens.named}`]]));
    expect((await peer.answer(1)).status).toBe(200);
    expect(place.a.app.targets).toEqual(["/plain"]);
  });
});

function requestOf({ lines, target = "/", trailers }: Spoof, kind: string): string {
  const body = trailers === undefined ? "" : `2\r\nhi\r\n0\r\n${trailers.join("\r\n")}\r\n\r\n`;
  const framing = trailers === undefined ? [] : ["Transfer-Encoding: chunked"];
  const agent = `User-Agent: ${kind}`;
  return `${[`GET ${target} HTTP/1.1`, "Host: {H}", "{A}", agent, ...framing, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

function failNoAnswer(received: Buffer): never {
  throw new Error(`no answer: ${received.toString("latin1")}`);
}
