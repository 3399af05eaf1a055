// What an app answers, and what of it the client gets.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { describe, expect, it } from "vitest";
import { valuesOf } from "../test/rules/place.ts";
import { answerHeaders } from "./answer-rules.ts";
import type { AnswerRules } from "./exchange.ts";

const OURS: AnswerRules = {
  setCookies: ["_connect_token=t", "__Host-_connect_token=t"],
  carrier: "query",
  requestId: "rq-1",
};
const BEARER: AnswerRules = { setCookies: [], carrier: "authorization", requestId: "rq-1" };
const COOKIE: AnswerRules = { ...BEARER, carrier: "cookie" };

const answer = (rules: AnswerRules, headers: readonly RawHeader[], status = 200, rootServiceWorkers = false) =>
  answerHeaders(rules, status, headers, { rootServiceWorkers });

describe("an app's answer", () => {
  it("goes on in its order, its case and its repetitions", () => {
    const headers: RawHeader[] = [
      ["content-TYPE", "text/html"],
      ["Set-Cookie", "a=b"],
      ["X-A", "1"],
      ["Set-Cookie", "c=d"],
      ["x-a", "2"],
      ["X-Verified-User-Data", "the app's own affair"],
      ["Strict-Transport-Security", "max-age=1; includeSubDomains"],
      ["Access-Control-Allow-Origin", "https://a.example"],
      ["Server", "me"],
    ];
    expect(answer(BEARER, headers)).toEqual([...headers, ["X-Request-Id", "rq-1"]]);
  });

  it.each([
    "Alt-Svc",
    "ALT-SVC",
    "Alternate-Protocol",
    "Set-Cookie2",
    "NEL",
    "No-Vary-Search",
    "Public-Key-Pins",
    "Public-Key-Pins-Report-Only",
    "Proxy-Authenticate",
    "Service-Worker-Allowed",
    "X-Accel-Redirect",
    "X-Sendfile",
    "Surrogate-Control",
    "CDN-Cache-Control",
    "X-Request-Id",
  ])("does not say %s", (name) => {
    for (const one of [name, name.toLowerCase()]) {
      expect(valuesOf(answer(BEARER, [[one, "/"]]), one)).toEqual(one.toLowerCase() === "x-request-id" ? ["rq-1"] : []);
      expect(answer(BEARER, [[one, "/"]], 103)).toEqual([]);
    }
  });

  it("widens a service worker's scope where that is allowed", () => {
    const header: RawHeader = ["Service-Worker-Allowed", "/"];
    expect(answer(BEARER, [header], 200, true)).toContainEqual(header);
  });

  it("has its cookies and orders to clear cleaned, those in between too", () => {
    const headers: RawHeader[] = [
      ["set-cookie", "a=b; Domain=localhost"],
      ["SET-COOKIE", "_connect_token=evil"],
      ["Clear-Site-Data", '"cookies", "cache"'],
      ["Clear-Site-Data", '"*"'],
    ];
    for (const status of [101, 103, 200, 304, 500]) {
      expect(answer(BEARER, headers, status).slice(0, 2)).toEqual([
        ["set-cookie", "a=b"],
        ["Clear-Site-Data", '"cache"'],
      ]);
    }
  });
});

describe("the answer to a token in the query", () => {
  it("sets its cookies, keeps its address quiet, and is private", () => {
    expect(answer(OURS, [["Set-Cookie", "a=b"]])).toEqual([
      ["Set-Cookie", "a=b"],
      ["Set-Cookie", "_connect_token=t"],
      ["Set-Cookie", "__Host-_connect_token=t"],
      ["Referrer-Policy", "no-referrer"],
      ["Cache-Control", "private"],
      ["X-Request-Id", "rq-1"],
    ]);
  });

  it("does so with the final answer only", () => {
    expect(answer(OURS, [["Link", "</a>"]], 103)).toEqual([["Link", "</a>"]]);
    expect(answer(OURS, [], 100)).toEqual([]);
    expect(valuesOf(answer(OURS, [], 101), "Set-Cookie")).toHaveLength(2);
  });

  it("leaves the app's own Cache-Control, and a Referrer-Policy under which no address leaks", () => {
    for (const value of ["public, max-age=60", "no-store", "private"]) {
      expect(valuesOf(answer(OURS, [["cache-control", value]]), "Cache-Control")).toEqual([value]);
    }
    expect(valuesOf(answer(OURS, [["Cache-Control", " "]]), "Cache-Control")).toContain("private");
    for (const value of ["same-origin", "strict-origin", "Origin", "no-referrer, strict-origin-when-cross-origin"]) {
      expect(valuesOf(answer(OURS, [["Referrer-Policy", value]]), "Referrer-Policy")).toEqual([value]);
    }
    for (const value of ["unsafe-url", "no-referrer-when-downgrade", "", "no-referrer, unsafe-url", "nonsense"]) {
      expect(valuesOf(answer(OURS, [["Referrer-Policy", value]]), "Referrer-Policy")).toEqual(["no-referrer"]);
    }
    const two: RawHeader[] = [
      ["Referrer-Policy", "no-referrer"],
      ["referrer-policy", "unsafe-url"],
    ];
    expect(valuesOf(answer(OURS, two), "Referrer-Policy")).toEqual(["no-referrer"]);
  });
});

describe("the answer to another token", () => {
  it("by cookie is private, and says of referrers what the app says", () => {
    expect(answer(COOKIE, [["Referrer-Policy", "unsafe-url"]])).toEqual([
      ["Referrer-Policy", "unsafe-url"],
      ["Cache-Control", "private"],
      ["X-Request-Id", "rq-1"],
    ]);
  });

  it("by header says of caches what the app says", () => {
    expect(answer(BEARER, [])).toEqual([["X-Request-Id", "rq-1"]]);
  });
});
