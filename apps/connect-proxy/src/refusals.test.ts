// What people and programs are told when a request is refused.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { facts, valuesOf } from "../test/rules/place.ts";
import type { RefusalCode } from "./exchange.ts";
import { PAGE_POLICY, wantsHtml } from "./refusal-page.ts";
import { REFUSAL_CODES, refusal } from "./refusals.ts";

const BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const of = (code: RefusalCode, ...lines: string[]) => refusal(code, { ...facts({ lines }), port: 3000 });

describe("each refusal", () => {
  it.each(REFUSAL_CODES)("%s says what, and what mends it", (code) => {
    const { body, headers, status } = of(code);
    expect(status).toBeGreaterThanOrEqual(400);
    const said = JSON.parse(body.toString()) as Record<string, string>;
    expect(Object.keys(said)).toEqual(["code", "message", "hint", "requestId"]);
    expect(said).toMatchObject({ code, requestId: "rq-1" });
    expect(said["message"]).toMatch(/^[A-Z].*\.$/);
    expect(said["hint"]).toMatch(/[.)]$/);
    expect(body.toString()).not.toMatch(/\bPORT\b|undefined/);
    expect(valuesOf(headers, "Content-Type")).toEqual(["application/json"]);
    expect(valuesOf(headers, "Cache-Control")).toEqual(["no-store"]);
    expect(valuesOf(headers, "Access-Control-Allow-Origin")).toEqual(["*"]);
    expect(valuesOf(headers, "Access-Control-Allow-Credentials")).toEqual([]);
    expect(valuesOf(headers, "X-Request-Id")).toEqual(["rq-1"]);
    expect(valuesOf(headers, "Set-Cookie")).toEqual([]);
    if (status === 401) expect(valuesOf(headers, "WWW-Authenticate")).toHaveLength(1);
    expect(valuesOf(headers, "Retry-After").length > 0).toBe(status === 429 || status === 503);
    for (const [, value] of headers) expect(value).toMatch(/^[\x20-\x7e]+$/);
  });

  it.each(REFUSAL_CODES)("%s is a page for browsers, that runs and fetches nothing", (code) => {
    const { body, headers, status } = of(code, BROWSER, "Sec-Fetch-Dest: document");
    const html = body.toString();
    expect(valuesOf(headers, "Content-Type")).toEqual(["text/html; charset=utf-8"]);
    expect(valuesOf(headers, "Content-Security-Policy")).toEqual([PAGE_POLICY]);
    expect(valuesOf(headers, "X-Content-Type-Options")).toEqual(["nosniff"]);
    expect(html).toContain(`<h1>${status} `);
    expect(html).toContain(`<code>${code}</code>`);
    expect(html).toContain("<code>rq-1</code>");
    expect(html).not.toMatch(/<script|<img|<link|<a |<form|<iframe| on[a-z]+=|url\(|https?:/i);
    expect(html.length).toBeLessThan(2_000);
  });

  it("may use the style that stands in the page, and no other", () => {
    const style = /<style>(.*)<\/style>/s.exec(of("NoToken", BROWSER).body.toString())?.[1] ?? "";
    const hash = createHash("sha256").update(style).digest("base64");
    expect(PAGE_POLICY).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; sandbox`,
    );
  });

  it("names the port where nothing answers, and how to mend it", () => {
    for (const code of ["NothingListens", "NoAnswer", "BadAnswer", "AnswerTimeout"] as const) {
      expect(of(code).body.toString()).toContain("port 3000");
      expect(refusal(code, {}).body.toString()).toContain("the port");
    }
    expect(of("NothingListens").body.toString()).toMatch(/0\.0\.0\.0.*createConnectToken\(\{ port \}\)/);
  });

  it("challenges as RFC 6750 wants it", () => {
    const challenge = (code: RefusalCode) => valuesOf(of(code).headers, "WWW-Authenticate")[0];
    expect(challenge("NoToken")).toBe('Bearer realm="sallyport"');
    expect(challenge("AmbiguousToken")).toMatch(/^Bearer realm="sallyport", error="invalid_request"$/);
    for (const code of ["BadToken", "TokenExpired", "TokenRevoked"] as const) {
      expect(challenge(code)).toMatch(/^Bearer realm="sallyport", error="invalid_token", error_description="[a-z ]+"$/);
    }
    expect(challenge("WrongSandbox")).toMatch(/error="insufficient_scope"$/);
    for (const code of ["UnknownSandbox", "ForeignOrigin", "NothingListens"] as const)
      expect(challenge(code)).toBeUndefined();
  });

  it("needs to know nothing of the request", () => {
    const { body, headers } = refusal("MalformedRequest", {});
    expect(JSON.parse(body.toString())).toMatchObject({ code: "MalformedRequest", requestId: "" });
    expect(valuesOf(headers, "X-Request-Id")).toEqual([]);
  });

  it("escapes whatever stands in it", () => {
    const text = fc.string({ unit: fc.constantFrom(..."<>&\"'/=; abc".split("")), maxLength: 20 });
    fc.assert(
      fc.property(text, (requestId) => {
        const html = refusal("NoToken", { ...facts({ lines: [BROWSER] }), requestId }).body.toString();
        const shown = /request <code>(.*)<\/code><\/small>/s.exec(html)?.[1] ?? "";
        expect(shown).not.toMatch(/[<>"']/);
        const read = shown.replace(/&(lt|gt|quot|#39|amp);/g, (_, name: string) => READ[name] ?? "");
        expect(read).toBe(requestId);
        expect(JSON.parse(refusal("NoToken", { requestId }).body.toString())).toMatchObject({ requestId });
      }),
    );
  });
});

const READ: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', "#39": "'", amp: "&" };

describe("a page is for who wants one", () => {
  it.each<[boolean, string[]]>([
    [true, [BROWSER]],
    [true, ["Accept: text/html"]],
    [true, ["accept: TEXT/HTML"]],
    [true, ["Accept: text/*"]],
    [true, ["Accept: application/json;q=0.5, text/html"]],
    [true, ["Accept: application/json;q=0.5", "Accept: text/html;q=0.7"]],
    [true, [BROWSER, "Sec-Fetch-Dest: iframe"]],
    [false, []],
    [false, ["Accept: */*"]],
    [false, ["Accept: application/json"]],
    [false, ["Accept: application/json, text/html"]],
    [false, ["Accept: text/html;q=0"]],
    [false, ["Accept: text/html;q=2"]],
    [false, ["Accept: text/html;q=0.3, */*;q=0.9"]],
    [false, ["Accept: text/htmlx, text"]],
    [false, ["Accept: ,;,;q=,"]],
    [false, [BROWSER, "Sec-Fetch-Dest: empty"]],
    [false, ["X-Accept: text/html"]],
  ])("%s: %j", (expected, lines) => {
    expect(wantsHtml(facts({ lines }))).toBe(expected);
    expect(wantsHtml({ ...facts({ lines }), isWebSocket: true })).toBe(false);
  });

  it("whatever Accept says, at no more cost than its length", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii" }), (accept) => {
        expect(typeof wantsHtml({ headers: [["Accept", accept]] })).toBe("boolean");
      }),
    );
    wantsHtml({ headers: [["Accept", "text/html;q=,".repeat(50_000)]] });
  });
});
