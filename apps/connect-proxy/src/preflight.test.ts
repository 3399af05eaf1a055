// Preflights: what a page of another origin may send, and that none of it is the app's or the cookie's.
import { beforeAll, describe, expect, it } from "vitest";
import { answered, codeOf, cookie, forwarded, Place, valuesOf } from "../test/rules/place.ts";
import type { ConnectRules } from "./rules.ts";

let place: Place;
let rules: ConnectRules;
beforeAll(async () => {
  place = await Place.start();
  rules = place.rules();
});

const ORIGIN = "Origin: https://a.example";
const METHOD = "Access-Control-Request-Method: PUT";
const ask = (...lines: string[]) => ({ method: "OPTIONS", lines });

describe("a preflight without a token", () => {
  it("is allowed what it asks for, without credentials", async () => {
    const answer = await answered(rules, ask(ORIGIN, METHOD, "Access-Control-Request-Headers: authorization, x-a"));
    expect(answer).toMatchObject({ status: 204, code: "Preflight" });
    expect(answer.headers).toEqual([
      ["Access-Control-Allow-Origin", "*"],
      ["Access-Control-Allow-Methods", "PUT"],
      ["Access-Control-Allow-Headers", "authorization, x-a"],
      ["Access-Control-Max-Age", "600"],
      ["Cache-Control", "no-store"],
      ["X-Request-Id", "rq-1"],
    ]);
    expect(valuesOf((await answered(rules, ask(ORIGIN, METHOD))).headers, "Access-Control-Allow-Headers")).toEqual([]);
  });

  it("is not led into a private network", async () => {
    const { headers } = await answered(rules, ask(ORIGIN, METHOD, "Access-Control-Request-Private-Network: true"));
    expect(JSON.stringify(headers)).not.toMatch(/private-network|credentials/i);
  });

  it.each([
    [["no origin", METHOD]],
    [["no method", ORIGIN]],
    [["two origins", ORIGIN, ORIGIN, METHOD]],
    [["two methods", ORIGIN, METHOD, METHOD]],
    [["a list of methods", ORIGIN, "Access-Control-Request-Method: PUT, GET"]],
    [["no method's name", ORIGIN, "Access-Control-Request-Method: PU T"]],
    [["an empty method", ORIGIN, "Access-Control-Request-Method:"]],
    [["no header's name", ORIGIN, METHOD, "Access-Control-Request-Headers: a b"]],
    [["a lone comma", ORIGIN, METHOD, "Access-Control-Request-Headers: ,"]],
    [["too many headers", ORIGIN, METHOD, `Access-Control-Request-Headers: ${"a,".repeat(600)}a`]],
  ])("is none with %j", async ([, ...lines]) => {
    expect(await codeOf(rules, ask(...lines))).toBe("NoToken");
  });

  it("is none by another method", async () => {
    expect(await codeOf(rules, { method: "GET", lines: [ORIGIN, METHOD] })).toBe("NoToken");
  });

  it("is refused where the operator wants it so", async () => {
    expect(await codeOf(place.rules({ preflight: "refuse" }), ask(ORIGIN, METHOD))).toBe("NoToken");
  });
});

describe("a preflight with a token", () => {
  it("is the app's to answer", async () => {
    const target = `/a?_connect_token=${await place.token()}`;
    expect(await forwarded(rules, { ...ask(ORIGIN, METHOD), target })).toMatchObject({ target: "/a" });
  });

  it("that is bad is refused, and one by cookie from elsewhere too", async () => {
    expect(await codeOf(rules, { ...ask(ORIGIN, METHOD), target: "/?_connect_token=x" })).toBe("BadToken");
    expect(await codeOf(rules, ask(ORIGIN, METHOD, cookie(await place.token())))).toBe("ForeignOrigin");
  });
});
