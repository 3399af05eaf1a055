// Who may: tokens, sandboxes, and what a stranger learns of them.
import { takeFromCookies } from "@sallyport/connect-token/verify";
import fc from "fast-check";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Asked } from "../test/rules/place.ts";
import {
  answered,
  bearer,
  codeOf,
  cookie,
  facts,
  forwarded,
  NOWHERE,
  OTHER,
  Place,
  route,
  SANDBOX,
  START_MS,
  valuesOf,
} from "../test/rules/place.ts";
import type { Decision } from "./exchange.ts";
import type { ConnectRules } from "./rules.ts";

let place: Place;
let rules: ConnectRules;
let token: string;
beforeAll(async () => {
  place = await Place.start();
  rules = place.rules();
  token = await place.token({ userMetadata: { user_id: "foo" } });
});

const at = (sandboxId: string, lines: readonly string[], target = "/"): Asked => ({
  sandboxId,
  host: `${sandboxId}.localhost:7443`,
  lines,
  target,
});

/** A platform whose sandbox has gone another way, and its rules. */
async function changed(
  change: (place: Place) => Promise<void>,
): Promise<{ place: Place; rules: ConnectRules; token: string }> {
  const own = await Place.start();
  const good = await own.token();
  await change(own);
  return { place: own, rules: own.rules(), token: good };
}

describe("a good token", () => {
  it("goes on, by each carrier, and is nowhere in what goes on", async () => {
    for (const asked of [
      { lines: [bearer(token)] },
      { target: `/a?b=1&_modal_connect_token=${token}` },
      { target: `/a?_connect_token=${token}&b=1` },
      { lines: [cookie(token)] },
      { lines: [cookie(token, "_modal_connect_token")] },
    ]) {
      const forward = await forwarded(rules, asked);
      expect(JSON.stringify([forward.target, forward.headers])).not.toContain(token.slice(0, 40));
      expect(forward.grant).toMatchObject({ id: "ct-1", port: 8080 });
      expect(forward.route).toBe(place.routes.get(SANDBOX));
      expect(valuesOf(forward.headers, "X-Verified-User-Data")).toEqual(['{"user_id":"foo"}']);
    }
  });

  it("is decided at once when it is remembered", async () => {
    await forwarded(rules, { lines: [bearer(token)] });
    for (const lines of [[bearer(token)], [cookie(token)]]) {
      expect(rules.decide(facts({ lines }))).toMatchObject({ kind: "forward" });
    }
    const quiet = place.rules();
    expect(quiet.decide(facts({ lines: [bearer(token)] }))).toBeInstanceOf(Promise);
    expect(quiet.rememberedTokens).toBe(0);
  });

  it("goes on while the sandbox is starting: whoever opens the port waits there", async () => {
    const own = await changed((one) => one.apply([route(SANDBOX, { state: "starting" })]));
    expect((await forwarded(own.rules, { lines: [bearer(own.token)] })).route.state).toBe("starting");
  });
});

describe("a token in the path", () => {
  it("goes nowhere: the app would see it, and logs would keep it", async () => {
    for (const target of [`/${token}`, `/a?b=1;_connect_token=${token}`, `/?next=%2F%3F_connect_token%3D${token}`]) {
      const answer = await answered(rules, { target, lines: [bearer(token)] });
      expect(answer).toMatchObject({ status: 400, code: "MisplacedToken" });
      expect(answer.body.toString()).not.toContain(token);
    }
  });
});

describe("a stranger", () => {
  const STRANGERS: Readonly<Record<string, (sandboxId: string) => Promise<Asked>>> = {
    "without a token": async (id) => at(id, []),
    "with somebody's bearer": async (id) => at(id, ["Authorization: Bearer abc"]),
    "with Basic": async (id) => at(id, ["Authorization: Basic YTpi"]),
    "with an empty token": async (id) => at(id, [], "/?_connect_token="),
    "with half a token": async (id) => at(id, [bearer(token.slice(0, -9))]),
    "with another platform's token": async (id) =>
      at(id, [bearer(await (await Place.start()).token({ sandboxId: id }))]),
    "with a token of another sandbox": async (id) => at(id, [bearer(await place.token({ sandboxId: "sb-x" }))]),
    "with an expired token of it": async (id) => {
      place.nowMs = START_MS - 7_200_000;
      const old = await place.token({ sandboxId: id, expiresInMs: 60_000 });
      place.nowMs = START_MS;
      return at(id, [bearer(old)]);
    },
    "with two tokens": async (id) => at(id, [], "/?_connect_token=a&_connect_token=b"),
    "who asks as a preflight": async (id) => ({
      ...at(id, ["Origin: https://a.example", "Access-Control-Request-Method: PUT"]),
      method: "OPTIONS",
    }),
  };

  it.each(Object.entries(STRANGERS))("%s gets the same everywhere", async (_name, ask) => {
    const own = place;
    await own.apply([route(NOWHERE.replace("b1", "b2"), { state: "ended", endedAtMs: START_MS })]);
    const texts = new Set<string>();
    for (const id of [SANDBOX, OTHER, NOWHERE, NOWHERE.replace("b1", "b2")]) {
      const { status, headers, body, code } = await answered(own.rules(), await ask(id));
      texts.add(JSON.stringify([status, headers, body.toString(), code]));
    }
    expect(texts.size).toBe(1);
  });
});

describe("who holds a token that was good for the very sandbox", () => {
  it.each<[string, (place: Place) => Promise<void>, string, number]>([
    [
      "that it has ended",
      (one) => one.apply([route(SANDBOX, { state: "ended", endedAtMs: START_MS })]),
      "SandboxEnded",
      410,
    ],
    ["that the token is revoked", (one) => one.apply([], ["ct-1"]), "TokenRevoked", 401],
    ["that all tokens are revoked", (one) => one.apply([route(SANDBOX, { tokenEpoch: 4 })]), "TokenRevoked", 401],
    [
      "that it has expired",
      async (one) => {
        one.nowMs += 3_600_000;
      },
      "TokenExpired",
      401,
    ],
    [
      "that its key is no longer used",
      async (one) => {
        one.revision += 1;
        await one.routes.apply({
          revision: one.revision,
          reset: false,
          routes: [],
          revoked: [],
          keySet: '{"keys":[]}',
        });
      },
      "BadToken",
      401,
    ],
    [
      "that nothing is known of it any more",
      async (one) => {
        await one.apply([route(SANDBOX, { state: "ended", endedAtMs: START_MS - 3_600_000 })]);
        one.nowMs += 60_000;
      },
      "UnknownSandbox",
      404,
    ],
    [
      "nothing where the platform is at odds with itself",
      (one) => one.apply([route(SANDBOX, { workspaceId: "ws-01arz3ndektsv4rrffq69g5fzz" })]),
      "WrongSandbox",
      403,
    ],
  ])("learns %s, known before or not", async (_name, change, code, status) => {
    const own = await Place.start();
    const good = await own.token();
    const known = own.rules();
    await forwarded(known, { lines: [bearer(good)] });
    await change(own);
    for (const one of [known, own.rules()]) {
      expect(await answered(one, { lines: [bearer(good)] })).toMatchObject({ code, status });
    }
    expect(known.grantProblem((await forwarded(place.rules(), { lines: [bearer(token)] })).grant)).toBeDefined();
  });

  /** A decision about a sandbox that is not known yet, when it has begun to wait for the route. */
  async function early(own: Place): Promise<{ decision: Decision | Promise<Decision> }> {
    const listening = Promise.withResolvers<undefined>();
    const { routes } = own;
    const ruled = own.rules({
      routes: {
        get: (id) => routes.get(id),
        keys: () => routes.keys(),
        isRevoked: (id, sandboxId) => routes.isRevoked(id, sandboxId),
        isCurrentEpoch: (id, epoch) => routes.isCurrentEpoch(id, epoch),
        onChange(listener) {
          listening.resolve(undefined);
          return routes.onChange(listener);
        },
      },
    });
    const decision = ruled.decide(facts(at(NOWHERE, [bearer(await own.token({ sandboxId: NOWHERE }))])));
    await listening.promise;
    return { decision };
  }

  it("is let in where the route arrives a moment after the token", async () => {
    const own = await Place.start();
    const { decision } = await early(own);
    await own.apply([route(OTHER)]);
    await own.apply([route(NOWHERE)]);
    expect(await decision).toMatchObject({ kind: "forward", route: { sandboxId: NOWHERE } });
  });

  it("is let in by no route that arrives with the token's revocation", async () => {
    const own = await Place.start();
    const { decision } = await early(own);
    await own.apply([route(NOWHERE, { tokenEpoch: 4 })]);
    expect(await decision).toMatchObject({ answer: { code: "TokenRevoked" } });
  });

  it("is told after a while that nothing comes", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { decision } = await early(await Place.start());
      vi.runAllTimers();
      expect(await decision).toMatchObject({ answer: { code: "UnknownSandbox" } });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a head that comes again", () => {
  it("is made out once, and decided upon each time", async () => {
    const own = await Place.start();
    const good = await own.token();
    const ruled = own.rules();
    const notes = { carried: undefined };
    const ask = (requestId: string) => ruled.decide(facts({ lines: [cookie(good), "X-A: 1"], notes, requestId }));
    const first = await ask("rq-1");
    expect(notes.carried).toBeDefined();
    const second = await ask("rq-2");
    expect(first).toMatchObject({ kind: "forward", answer: { requestId: "rq-1" } });
    expect(second).toMatchObject({ kind: "forward", answer: { requestId: "rq-2" } });
    const told = (decision: Decision, id: string) =>
      decision.kind === "forward" ? JSON.stringify(decision.headers).replace(id, "") : "";
    expect(told(second, "rq-2")).toBe(told(first, "rq-1"));
    await own.apply([], ["ct-1"]);
    expect(await ask("rq-3")).toMatchObject({ kind: "answer", answer: { code: "TokenRevoked" } });
  });

  it("is refused anew each time", async () => {
    const notes = { carried: undefined };
    for (const lines of [[], ["Origin: https://a.example", cookie(token)]]) {
      for (const requestId of ["rq-1", "rq-2"]) {
        const { headers } = await answered(rules, { lines, notes, requestId });
        expect(valuesOf(headers, "X-Request-Id")).toEqual([requestId]);
      }
    }
    expect(notes.carried).toBeUndefined();
  });
});

describe("a grant that is watched", () => {
  it("holds until it is revoked, or its sandbox ends or goes", async () => {
    const own = await Place.start();
    const ruled = own.rules();
    const { grant } = await forwarded(ruled, { lines: [bearer(await own.token())] });
    const told: (string | undefined)[] = [];
    using _watch = ruled.onChange(() => told.push(ruled.grantProblem(grant)));
    await own.apply([route(SANDBOX, { instanceId: "in-01arz3ndektsv4rrffq69g5fb9" })]);
    await own.apply([route(SANDBOX, { state: "ended", endedAtMs: own.nowMs })]);
    await own.apply([route(SANDBOX, { tokenEpoch: 9 })]);
    await own.apply([route(SANDBOX)], ["ct-1"]);
    expect(told).toEqual([undefined, "SandboxEnded", "Revoked", "Revoked"]);
    // Of several reasons the token's expiry is the last: it may be that it is no reason to end what has begun.
    own.nowMs = grant.expiresAtMs;
    expect(ruled.grantProblem(grant)).toBe("Revoked");
    const other = await forwarded(ruled, { lines: [bearer(await own.token({ id: "ct-2" }))] });
    own.nowMs = other.grant.expiresAtMs;
    expect(ruled.grantProblem(other.grant)).toBe("Expired");
    await own.apply([route(SANDBOX, { state: "ended", endedAtMs: own.nowMs })]);
    expect(ruled.grantProblem(other.grant)).toBe("SandboxEnded");
    await own.apply([route(SANDBOX)]);
    expect(ruled.currentRoute(SANDBOX)?.state).toBe("running");
    expect(ruled.currentRoute(NOWHERE)).toBeUndefined();
  });
});

describe("while an assertion is signed", () => {
  it.each<[string, (own: Place) => Promise<void>]>([
    ["TokenRevoked", (own) => own.apply([], ["ct-1"])],
    ["TokenRevoked", (own) => own.apply([route(SANDBOX, { tokenEpoch: 4 })])],
    ["SandboxEnded", (own) => own.apply([route(SANDBOX, { state: "ended", endedAtMs: own.nowMs })])],
  ])("%s: what does not hold any more does not go on", async (code, change) => {
    const own = await Place.start();
    const good = await own.token();
    const signing = Promise.withResolvers<string>();
    const asked = Promise.withResolvers<undefined>();
    const ruled = own.rules({
      assertions: {
        assertionFor: () => {
          asked.resolve(undefined);
          return signing.promise;
        },
      },
    });
    const decision = ruled.decide(facts({ lines: [bearer(good)] }));
    await asked.promise;
    await change(own);
    signing.resolve("assertion");
    expect(await decision).toMatchObject({ answer: { code } });
  });
});

describe("a fault of ours", () => {
  it("lets nobody in and is told", async () => {
    const broken = place.rules({
      assertions: {
        assertionFor() {
          throw new Error("no key");
        },
      },
    });
    const late = place.rules({ assertions: { assertionFor: () => Promise.reject(new Error("no key")) } });
    place.faults.length = 0;
    for (const one of [broken, late]) {
      expect(await answered(one, { lines: [bearer(token)] })).toMatchObject({ status: 500, code: "InternalError" });
    }
    expect(place.faults).toHaveLength(2);
  });

  it("is none where a token expires while it is asserted", async () => {
    const own = await Place.start();
    const short = await own.token({ expiresInMs: 1_000 });
    const ruled = own.rules({
      assertions: {
        assertionFor: async () => {
          own.nowMs += 1_000;
          throw new Error("has expired");
        },
      },
    });
    expect(await codeOf(ruled, { lines: [bearer(short)] })).toBe("TokenExpired");
    expect(own.faults).toEqual([]);
  });
});

describe("whatever comes", () => {
  const name = fc.constantFrom(
    "Authorization",
    "Cookie",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "X-Verified-User-Data",
    "X_Forwarded_For",
    "Forwarded",
    "Access-Control-Request-Method",
    "Service-Worker",
    "Connection",
  );
  const value = fc.oneof(
    fc.constantFrom(
      "same-origin",
      "cross-site",
      "navigate",
      "document",
      "iframe",
      "null",
      "script",
      "PUT",
      "",
      "cookie",
    ),
    fc.string({ maxLength: 12 }).map((text) => text.replace(/[^\x20-\x7e]|,/g, "")),
    fc.constantFrom(
      "{T}",
      "Bearer {T}",
      "_connect_token={T}",
      "__Host-_connect_token={T}; a=b",
      "https://a/?_connect_token={T}&b",
    ),
  );
  const line = fc
    .tuple(name, value)
    .filter(([one, text]) => (one === "Connection" ? /^[a-z-]*$/.test(text) : one !== "Referer" || text.includes("?")));

  it("decides, never fails, and lets no token through to the app", async () => {
    place.faults.length = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fc.constantFrom("/", "*", "/?_connect_token={T}", "/a?b&_modal_connect_token={T}#", "//x?%5fconnect_token={T}"),
        fc.constantFrom("GET", "POST", "OPTIONS", "HEAD", "PROPFIND"),
        fc.boolean(),
        async (lines, target, method, isWebSocket) => {
          const fill = (text: string) => text.replaceAll("{T}", token);
          const written = lines.map(([one, text]) => `${one}: ${fill(text)}`);
          const decision = await rules.decide(facts({ lines: written, target: fill(target), method, isWebSocket }));
          if (decision.kind === "answer") {
            expect(decision.answer.code).not.toBe("InternalError");
            expect(
              JSON.stringify([decision.answer.body.toString(), valuesOf(decision.answer.headers, "Location")]),
            ).not.toContain(token);
            return;
          }
          // Headers of which nobody reads a token may hold what they like; what was a carrier holds none.
          const own = decision.headers.filter(([one]) => /^(authorization|cookie|referer|forwarded|x-)/i.test(one));
          const text = JSON.stringify([decision.target, own.filter(([one]) => !/^cookie$/i.test(one))]);
          expect(text).not.toContain(token);
          expect(valuesOf(own, "Cookie").flatMap((one) => takeFromCookies(one).found)).toEqual([]);
          expect(valuesOf(own, "X-Verified-User-Data")).toEqual(['{"user_id":"foo"}']);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(place.faults).toEqual([]);
  });
});
