// What pages of other sites try with a person's cookies and links, and what of it gets through.
import { beforeAll, describe, expect, it } from "vitest";
import type { Asked } from "../test/rules/place.ts";
import {
  answered,
  bearer,
  codeOf,
  cookie,
  facts,
  forwarded,
  HOST,
  OTHER,
  Place,
  SANDBOX,
  valuesOf,
} from "../test/rules/place.ts";
import { ownOrigin } from "./browser.ts";
import type { ConnectRules } from "./rules.ts";

let place: Place;
let rules: ConnectRules;
let token: string;
let embed: string;
beforeAll(async () => {
  place = await Place.start();
  rules = place.rules();
  token = await place.token();
  embed = await place.token({ id: "ct-2", embed: true });
});

const OWN = `Origin: https://${HOST}`;
const SIBLING = `Origin: https://${OTHER}.localhost:7443`;
const fetchOf = (site: string, mode: string, dest: string): string[] => [
  `Sec-Fetch-Site: ${site}`,
  `Sec-Fetch-Mode: ${mode}`,
  `Sec-Fetch-Dest: ${dest}`,
];

interface Row {
  readonly lines: readonly string[];
  readonly method?: string;
  readonly webSocket?: boolean;
}
const get = (...lines: readonly (string | string[])[]): Row => ({ lines: lines.flat() });
const post = (...lines: readonly (string | string[])[]): Row => ({ lines: lines.flat(), method: "POST" });
const shake = (...lines: readonly (string | string[])[]): Row => ({ lines: lines.flat(), webSocket: true });
const asked = ({ lines, method = "GET", webSocket = false }: Row, ...more: readonly string[]): Asked => ({
  lines: [...lines, ...more],
  method,
  isWebSocket: webSocket,
});

const WELCOME: Readonly<Record<string, Row>> = {
  "a program": get(),
  "a program that posts": post(),
  "a program that names the host's own origin": post(OWN),
  "a page of the host that fetches": get(fetchOf("same-origin", "cors", "empty")),
  "a page of the host that posts": post(fetchOf("same-origin", "cors", "empty"), OWN),
  "a page of the host under no-referrer that posts a form": post(
    fetchOf("same-origin", "navigate", "document"),
    "Origin: null",
  ),
  "a page of the host that loads a script": get(fetchOf("same-origin", "no-cors", "script")),
  "a page of the host that frames another one": get(fetchOf("same-origin", "navigate", "iframe")),
  "the address bar": get(fetchOf("none", "navigate", "document")),
  "a form that is sent again from the address bar": post(fetchOf("none", "navigate", "document"), "Origin: null"),
  "a link on another site": get(fetchOf("cross-site", "navigate", "document")),
  "a link on a sibling": get(fetchOf("same-site", "navigate", "document")),
  "a WebSocket of the host's page": shake(OWN),
  "a WebSocket of the host's page, with all signs": shake(OWN, fetchOf("same-origin", "websocket", "empty")),
};

const FOREIGN: Readonly<Record<string, Row>> = {
  "a sibling that fetches": get(fetchOf("same-site", "cors", "empty"), SIBLING),
  "a sibling that fetches unseen": get(fetchOf("same-site", "no-cors", "empty")),
  "a sibling's image": get(fetchOf("same-site", "no-cors", "image")),
  "another site's script": get(fetchOf("cross-site", "no-cors", "script")),
  "another site's beacon": post(fetchOf("cross-site", "no-cors", "empty"), "Origin: https://a.example"),
  "another site's form": post(fetchOf("cross-site", "navigate", "document"), "Origin: https://a.example"),
  "a sibling's form": post(fetchOf("same-site", "navigate", "document"), SIBLING),
  "a form of nobody's": post(fetchOf("cross-site", "navigate", "document"), "Origin: null"),
  "another method that says it navigates": { ...get(fetchOf("cross-site", "navigate", "document")), method: "DELETE" },
  "HEAD that says it navigates": { ...get(fetchOf("cross-site", "navigate", "document")), method: "HEAD" },
  "a navigation of no document": get(fetchOf("cross-site", "navigate", "image")),
  "a document without a navigation": get(fetchOf("cross-site", "no-cors", "document")),
  "another site's object": get(fetchOf("cross-site", "navigate", "object")),
  "another site's embed": get(fetchOf("cross-site", "navigate", "embed")),
  "a fenced frame": get(fetchOf("cross-site", "navigate", "fencedframe")),
  "a site of which nobody has heard": get(fetchOf("same-planet", "navigate", "document")),
  "an empty site": get("Sec-Fetch-Site:"),
  "a site in capitals": get("Sec-Fetch-Site: SAME-ORIGIN"),
  "two sites": get("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"),
  "two sites in one": get("Sec-Fetch-Site: same-origin, cross-site"),
  "the same site twice": get("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"),
  "a site with a parameter": get("Sec-Fetch-Site: same-origin;v=1"),
  "two modes": get(fetchOf("cross-site", "navigate", "document"), "Sec-Fetch-Mode: cors"),
  "two destinations": get(fetchOf("cross-site", "navigate", "document"), "Sec-Fetch-Dest: iframe"),
  "its own site, another origin": post(fetchOf("same-origin", "cors", "empty"), SIBLING),
  "the address bar, another origin": post(fetchOf("none", "cors", "empty"), SIBLING),
  "an old browser on a sibling": post(SIBLING),
  "an old browser on a sibling that gets": get(SIBLING),
  "an old browser on nobody's page": post("Origin: null"),
  "an empty origin": get("Origin:"),
  "two origins": post(OWN, SIBLING),
  "the own origin twice": post(OWN, OWN),
  "two origins in one": post(`${OWN} ${SIBLING.slice(8)}`),
  "the own origin without TLS": post(`Origin: http://${HOST}`),
  "the own origin at another port": post(`Origin: https://${SANDBOX}.localhost:7444`),
  "the own origin without its port": post(`Origin: https://${SANDBOX}.localhost`),
  "the own origin with a path": post(`${OWN}/`),
  "the own origin with a user": post(`Origin: https://a@${HOST}`),
  "the own name below another": post(`Origin: https://${HOST}.a.example`),
  "a name below the own": post(`Origin: https://a.${HOST}`),
  "a WebSocket of a sibling": shake(SIBLING),
  "a WebSocket of a sibling, with all signs": shake(SIBLING, fetchOf("same-site", "websocket", "empty")),
  "a WebSocket of nobody's page": shake("Origin: null"),
  "a WebSocket without an origin": shake(),
  "a WebSocket without an origin, of its own site": shake(fetchOf("same-origin", "websocket", "empty")),
  "a WebSocket of the own origin from another site": shake(OWN, fetchOf("cross-site", "websocket", "empty")),
  "a WebSocket that says it navigates": shake(SIBLING, fetchOf("cross-site", "navigate", "document")),
  "a WebSocket of two origins": shake(OWN, SIBLING),
  "a WebSocket of wss": shake(`Origin: wss://${HOST}`),
};

describe("by cookie", () => {
  it.each(Object.entries(WELCOME))("%s is welcome", async (_name, row) => {
    for (const name of ["__Host-_connect_token", "_modal_connect_token"]) {
      const forward = await forwarded(rules, asked(row, cookie(token, name)));
      expect(forward.answer).toMatchObject({ carrier: "cookie", setCookies: [] });
    }
  });

  it.each(Object.entries(FOREIGN))("%s is refused, whether the cookie is good or not", async (_name, row) => {
    for (const value of [token, embed, "x"]) {
      for (const name of ["__Host-_connect_token", "_modal_connect_token"]) {
        expect(await answered(rules, asked(row, cookie(value, name)))).toMatchObject({
          status: 403,
          code: "ForeignOrigin",
        });
      }
    }
  });

  it("a frame of another site needs a token that is made for it", async () => {
    for (const site of ["same-site", "cross-site"]) {
      for (const dest of ["iframe", "frame"]) {
        const row = get(fetchOf(site, "navigate", dest));
        expect(await codeOf(rules, asked(row, cookie(token)))).toBe("NotEmbeddable");
        expect((await forwarded(rules, asked(row, cookie(embed)))).grant.embed).toBe(true);
        expect(await codeOf(rules, asked({ ...row, method: "POST" }, cookie(embed)))).toBe("ForeignOrigin");
        expect(await codeOf(rules, asked({ ...row, webSocket: true }, cookie(embed)))).toBe("ForeignOrigin");
      }
    }
  });

  it("the rules are about cookies: a token of one's own goes on from anywhere", async () => {
    for (const row of Object.values({ ...WELCOME, ...FOREIGN })) {
      const { answer } = await forwarded(rules, asked(row, bearer(token), cookie("x")));
      expect(answer).toMatchObject({ carrier: "authorization", setCookies: [] });
    }
  });

  it("a sibling's tossed cookie counts for nothing beside the twin", async () => {
    const theirs = await place.token({ id: "ct-3", userMetadata: "attacker" });
    const lines = [`Cookie: _connect_token=${theirs}; __Host-_modal_connect_token=${token}; _modal_connect_token=x`];
    expect((await forwarded(rules, { lines })).grant.id).toBe("ct-1");
  });
});

describe("an origin", () => {
  it.each([
    ["sb-1.localhost:7443", "https://sb-1.localhost:7443"],
    ["SB-1.Example.COM", "https://sb-1.example.com"],
    ["sb-1.example.com:443", "https://sb-1.example.com"],
    ["sb-1.example.com:4430", "https://sb-1.example.com:4430"],
  ])("of %s is %s", (host, origin) => {
    expect(ownOrigin(host)).toBe(origin);
  });

  it("without its default port is the host's own that came with it", async () => {
    const host = `${SANDBOX}.example.com:443`;
    const lines = [`Origin: https://${SANDBOX}.example.com`, cookie(token)];
    expect((await forwarded(rules, { host, lines, method: "POST" })).kind).toBe("forward");
  });
});

describe("a link with a token", () => {
  const link = (row: Row, value: string, target = `/a?b=1&_modal_connect_token=${value}&c`): Asked => ({
    ...asked(row),
    target,
  });

  it("that becomes a document leads to the same address without it, the token in cookies", async () => {
    for (const site of ["none", "same-origin", "same-site", "cross-site"]) {
      const answer = await answered(rules, link(get(fetchOf(site, "navigate", "document")), token));
      expect(answer).toMatchObject({ status: 303, code: "TokenTaken" });
      expect(valuesOf(answer.headers, "Location")).toEqual([`https://${HOST}/a?b=1&c`]);
      expect(valuesOf(answer.headers, "Set-Cookie")).toEqual([
        `_modal_connect_token=${token}; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax`,
        `__Host-_modal_connect_token=${token}; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax`,
      ]);
      expect(valuesOf(answer.headers, "Cache-Control")).toEqual(["no-store"]);
      expect(valuesOf(answer.headers, "Referrer-Policy")).toEqual(["no-referrer"]);
      expect(answer.body).toHaveLength(0);
    }
  });

  it("cannot be made to lead elsewhere", async () => {
    const row = get(fetchOf("none", "navigate", "document"));
    for (const [target, path] of [
      [`//a.example/?_connect_token=${token}`, "//a.example/"],
      [`/\\a.example/?_connect_token=${token}`, "/\\a.example/"],
      [`/@a.example?_connect_token=${token}`, "/@a.example"],
      [`/?_connect_token=${token}&\r\nX: y`, "/?%0D%0AX:%20y"],
    ]) {
      const [location = ""] = valuesOf((await answered(rules, link(row, token, target))).headers, "Location");
      expect(location).toBe(`https://${HOST}${path}`);
      expect(new URL(location).host).toBe(HOST);
    }
  });

  it("that is sent as a form is sent so again", async () => {
    const row = post(fetchOf("same-origin", "navigate", "document"), OWN);
    expect(await answered(rules, link(row, token))).toMatchObject({ status: 307, code: "TokenTaken" });
    const foreign = post(fetchOf("cross-site", "navigate", "document"), "Origin: https://a.example");
    expect(await codeOf(rules, link(foreign, token))).toBe("ForeignOrigin");
  });

  it("in a frame of another site needs one that is made for it, and then has cookies of that frame", async () => {
    const row = get(fetchOf("cross-site", "navigate", "iframe"));
    expect(await codeOf(rules, link(row, token))).toBe("NotEmbeddable");
    const answer = await answered(rules, link(row, embed));
    expect(answer.status).toBe(303);
    for (const line of valuesOf(answer.headers, "Set-Cookie")) expect(line).toMatch(/SameSite=None; Partitioned$/);
    for (const dest of ["object", "embed", "fencedframe"]) {
      expect(await codeOf(rules, link(get(fetchOf("cross-site", "navigate", dest)), embed))).toBe("ForeignOrigin");
    }
  });

  it("has its answer at once for programs, for what a page loads, and for WebSockets", async () => {
    for (const row of [
      get(),
      post(),
      get(fetchOf("same-origin", "cors", "empty")),
      get(fetchOf("same-origin", "no-cors", "image")),
      shake(OWN),
    ]) {
      const { answer, target } = await forwarded(rules, link(row, token));
      expect(target).toBe("/a?b=1&c");
      expect(answer.setCookies).toHaveLength(2);
    }
  });

  it("sets no cookies for another site: nobody becomes somebody else unseen", async () => {
    for (const row of Object.values(FOREIGN)) {
      const decision = await rules.decide(facts(link(row, token)));
      const cookies =
        decision.kind === "forward" ? decision.answer.setCookies : valuesOf(decision.answer.headers, "Set-Cookie");
      expect(cookies).toEqual([]);
    }
  });

  it("ends the cookies that would count before it", async () => {
    const lines = [...fetchOf("none", "navigate", "document"), cookie(embed)];
    const answer = await answered(rules, { lines, target: `/?_modal_connect_token=${token}` });
    expect(valuesOf(answer.headers, "Set-Cookie")).toContain(
      "__Host-_connect_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
    );
  });

  it("that is bad, or another sandbox's, sets nothing and leads nowhere", async () => {
    const row = get(fetchOf("none", "navigate", "document"));
    const theirs = await place.token({ sandboxId: OTHER });
    for (const [value, code] of [
      ["x", "BadToken"],
      [theirs, "WrongSandbox"],
    ] as const) {
      const answer = await answered(rules, link(row, value));
      expect(answer.code).toBe(code);
      expect(valuesOf(answer.headers, "Set-Cookie")).toEqual([]);
      expect(answer.body.toString()).not.toContain(value === "x" ? "_connect_token" : value);
    }
  });
});

describe("a service worker", () => {
  const script = (target: string, ...lines: string[]): Asked => ({
    target,
    lines: [...fetchOf("same-origin", "same-origin", "serviceworker"), ...lines, cookie(token)],
  });

  it("is not had for the whole host, where it would see links with tokens", async () => {
    for (const target of ["/sw.js", "/sw.js?a=/b/c", "/?/", "/"]) {
      expect(await codeOf(rules, script(target, "Service-Worker: script"))).toBe("RootServiceWorker");
      expect(await codeOf(rules, { target, lines: ["Service-Worker: script", cookie(token)] })).toBe(
        "RootServiceWorker",
      );
      expect(await codeOf(rules, script(target))).toBe("RootServiceWorker");
      expect((await forwarded(place.rules({ rootServiceWorkers: true }), script(target))).target).toBe(target);
    }
    const byQuery = { target: `/sw.js?_connect_token=${token}`, lines: ["Service-Worker: script"] };
    expect(await codeOf(rules, byQuery)).toBe("RootServiceWorker");
  });

  it("is had for a folder", async () => {
    expect((await forwarded(rules, script("/a/sw.js", "Service-Worker: script"))).target).toBe("/a/sw.js");
  });
});
