// What a hostile page makes a browser send with cookies that the page cannot read: only what law 25 names gets through.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Place } from "./place.ts";
import { say } from "./raw-client.ts";
import { readAnswers, statusOf, valuesOf } from "./strict-http.ts";

let place: Place;
let token: string;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const SHAKE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

interface Row {
  readonly fields: readonly string[];
  readonly method?: string;
  readonly passes: boolean;
}

const site = (value: string, mode = "no-cors", dest = "image"): string[] => [
  `Sec-Fetch-Site: ${value}`,
  `Sec-Fetch-Mode: ${mode}`,
  `Sec-Fetch-Dest: ${dest}`,
];
const own = "Origin: https://{H}";
const evil = "Origin: https://{O}";

const MATRIX: Readonly<Record<string, Row>> = {
  "a program": { fields: [], passes: true },
  "a program that posts": { fields: [], method: "POST", passes: true },
  "its own origin": { fields: [own], method: "POST", passes: true },
  "a sibling's origin": { fields: [evil], method: "POST", passes: false },
  "a sibling's origin, by GET": { fields: [evil], passes: false },
  "an origin of null": { fields: ["Origin: null"], method: "POST", passes: false },
  "an empty origin": { fields: ["Origin:"], method: "POST", passes: false },
  "its own origin without TLS": { fields: ["Origin: http://{H}"], method: "POST", passes: false },
  "its own name at another port": { fields: ["Origin: https://{N}:1"], method: "POST", passes: false },
  "its own name behind another": { fields: ["Origin: https://evil.{H}"], method: "POST", passes: false },
  "two origins": { fields: [own, evil], method: "POST", passes: false },
  "same-origin": { fields: site("same-origin", "cors", "empty"), passes: true },
  "same-origin, posts": { fields: [...site("same-origin", "cors", "empty"), own], method: "POST", passes: true },
  "none: typed into the bar": { fields: site("none", "navigate", "document"), passes: true },
  "same-site, an image": { fields: site("same-site"), passes: false },
  "same-site, fetch": { fields: [...site("same-site", "cors", "empty"), evil], passes: false },
  "same-site, a link": { fields: site("same-site", "navigate", "document"), passes: true },
  "same-site, a form": { fields: [...site("same-site", "navigate", "document"), evil], method: "POST", passes: false },
  "same-site, a frame": { fields: site("same-site", "navigate", "iframe"), passes: false },
  "cross-site, a link": { fields: site("cross-site", "navigate", "document"), passes: true },
  "cross-site, a form": {
    fields: [...site("cross-site", "navigate", "document"), evil],
    method: "POST",
    passes: false,
  },
  "cross-site, an image": { fields: site("cross-site"), passes: false },
  "cross-site, a script": { fields: site("cross-site", "no-cors", "script"), passes: false },
  "cross-site, fetch": { fields: [...site("cross-site", "cors", "empty"), evil], passes: false },
  "cross-site, a frame": { fields: site("cross-site", "navigate", "iframe"), passes: false },
  "cross-site, an object": { fields: site("cross-site", "navigate", "object"), passes: false },
  "cross-site, without the rest": { fields: ["Sec-Fetch-Site: cross-site"], passes: false },
  "cross-site, but its own origin": { fields: [...site("cross-site", "cors", "empty"), own], passes: false },
  "cross-site, PUT as a navigation": {
    fields: site("cross-site", "navigate", "document"),
    method: "PUT",
    passes: false,
  },
  "cross-site, DELETE as a navigation": {
    fields: site("cross-site", "navigate", "document"),
    method: "DELETE",
    passes: false,
  },
  "a site that nobody knows": { fields: site("friendly"), passes: false },
  "an empty site": { fields: ["Sec-Fetch-Site:"], passes: false },
  "two sites": { fields: ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], passes: false },
  "a WebSocket of a sibling's": { fields: [...SHAKE, evil], passes: false },
  "a WebSocket of a sibling's, told by site": {
    fields: [...SHAKE, evil, ...site("same-site", "websocket", "websocket")],
    passes: false,
  },
  "a WebSocket of a stranger's": {
    fields: [...SHAKE, "Origin: https://evil.example", ...site("cross-site", "websocket", "websocket")],
    passes: false,
  },
  "a WebSocket that says it navigates": {
    fields: [...SHAKE, evil, ...site("cross-site", "navigate", "document")],
    passes: false,
  },
  "a WebSocket of its own": { fields: [...SHAKE, own, ...site("same-origin", "websocket", "websocket")], passes: true },
};

async function ask(
  fields: readonly string[],
  method = "GET",
  target = "/",
): Promise<{ status: number; reached: boolean }> {
  place.a.app.forget();
  const head = [
    `${method} ${target} HTTP/1.1`,
    "Host: {H}",
    ...fields,
    ...(method === "GET" ? [] : ["Content-Length: 0"]),
  ];
  const client = await say(place, place.a.name, place.fill(`${head.join("\r\n")}\r\n\r\n`, place.a, token));
  const { messages } = readAnswers(client.received, [method], true);
  return {
    status: statusOf(messages.at(-1) ?? failNoAnswer(client.received)),
    reached: place.a.app.requests.length > 0,
  };
}

describe("a request with the cookie alone", () => {
  for (const [name, { fields, method, passes }] of Object.entries(MATRIX)) {
    for (const cookie of ["__Host-_connect_token", "_connect_token", "_modal_connect_token"]) {
      it(`${name} (${cookie}): ${passes ? "passes" : "fails"}`, async () => {
        const { status, reached } = await ask([...fields, `Cookie: ${cookie}={T}`], method);
        expect({ reached, refused: status === 401 || status === 403 || status === 400 }).toEqual({
          reached: passes,
          refused: !passes,
        });
      });
    }
  }

  it("with a header of its own the same pages are welcome: they hold the token", async () => {
    for (const { fields, method } of Object.values(MATRIX)) {
      if (
        fields.some((field) => /^(Origin|Sec-Fetch-Site):$/.test(field)) ||
        fields.filter((field) => /^(Origin|Sec-Fetch-Site):/.test(field)).length > 2
      )
        continue;
      expect(await ask([...fields, "Authorization: Bearer {T}"], method)).toMatchObject({ reached: true });
    }
  });
});

describe("tossed cookies", () => {
  it("lose against the twin, whichever comes first", async () => {
    const attackers = await place.token(place.a, { userMetadata: "the attacker" });
    const cookies = [`_connect_token=${attackers}`, "__Host-_connect_token={T}"];
    for (const order of [cookies, cookies.toReversed()]) {
      for (const fields of [[`Cookie: ${order.join("; ")}`], order.map((cookie) => `Cookie: ${cookie}`)]) {
        expect(await ask(fields)).toMatchObject({ status: 200, reached: true });
        const [request] = place.a.app.requests;
        expect(request === undefined ? [] : valuesOf(request, "X-Verified-User-Data")).toEqual([
          '{"user_id":"the-real-one"}',
        ]);
      }
    }
  });

  it("are refused where two differ under one name", async () => {
    const other = await place.token(place.a, { userMetadata: "the attacker" });
    for (const name of ["_connect_token", "__Host-_connect_token"]) {
      expect(await ask([`Cookie: ${name}={T}; ${name}=${other}`])).toEqual({ status: 400, reached: false });
    }
  });

  it("of bad tokens under the plain name change nothing", async () => {
    expect(await ask(["Cookie: _connect_token=x; __Host-_connect_token={T}"])).toMatchObject({ status: 200 });
    const foreign = await place.token(place.b);
    expect(await ask([`Cookie: _connect_token=${foreign}; __Host-_modal_connect_token={T}`])).toMatchObject({
      status: 200,
    });
  });
});

describe("what an app answers", () => {
  it("sets no token's cookie, no cookie for siblings, and clears none", async () => {
    place.a.app.program = (_request, { socket }) => {
      const fields = [
        "Set-Cookie: a=b; Path=/",
        "Set-Cookie: toss=1; Domain=localhost",
        "Set-Cookie: toss=2; dOmAiN = .localhost ; Path=/",
        "Set-Cookie: toss=3;domain=localhost",
        "Set-Cookie: _connect_token=evil",
        "Set-Cookie: _modal_connect_token=; Max-Age=0",
        "Set-Cookie: __Host-_connect_token=evil; Secure; Path=/",
        "set-cookie: __host-_connect_token=evil; Secure; Path=/",
        "Set-Cookie:   _connect_token = evil",
        'Clear-Site-Data: "cache", "cookies", "storage"',
        'Clear-Site-Data: "*"',
        "X-Verified-User-Data: echoed",
      ];
      socket.write(`HTTP/1.1 200 OK\r\n${fields.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`);
    };
    const bytes = place.fill("GET / HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", place.a, token);
    const { received } = await say(place, place.a.name, bytes);
    const answer = readAnswers(received, ["GET"], true).messages[0] ?? failNoAnswer(received);
    const cookies = valuesOf(answer, "Set-Cookie");
    expect(cookies).toContain("a=b; Path=/");
    expect(cookies.filter((cookie) => /domain|connect_token/i.test(cookie))).toEqual([]);
    const cleared = valuesOf(answer, "Clear-Site-Data").join();
    expect(cleared).not.toMatch(/cookies|\*/);
    expect(cleared).toContain('"cache"');
  });
});

function failNoAnswer(received: Buffer): never {
  throw new Error(`no answer: ${received.toString("latin1")}`);
}
