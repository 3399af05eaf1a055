// What is put together once for field lines that come again is what would be put together each time.
import type { RawHeader } from "@sallyport/connect-token/verify";
import { describe, expect, it } from "vitest";
import { bearer, cookie, facts, forwarded, Place } from "../test/rules/place.ts";
import { answerHeaders, answerLines } from "./answer-rules.ts";
import type { AnswerRules } from "./exchange.ts";
import { scanAnswerHead } from "./head/answer-head.ts";
import { answerLinesOf, headerLines } from "./head/write-head.ts";

const place = await Place.start();
const tokens = [await place.token(), await place.token({ id: "ct-2", userMetadata: { a: "\u00e9" } })];
const CLIENT = ["X-A: b", "X-Forwarded-For: 198.51.100.9", "X-Verified-User-Data: me", "Referer: https://a.example/"];

describe("a request whose field lines came before", () => {
  it.each([
    ["a bearer", bearer],
    ["a cookie", cookie],
  ])("of %s goes on as any other", async (_what, carry) => {
    let assertion: string | undefined = "one";
    const rules = place.rules({
      assertions: { assertionFor: () => assertion },
      isTrustedPeer: (address) => address === "10.0.0.1",
    });
    for (const token of tokens) {
      const notes = { carried: undefined };
      const lines = [carry(token), ...CLIENT];
      for (const target of ["/", "/a?b=c", `/?_connect_token=${tokens[0]}`, "/d"]) {
        for (const peerAddress of ["198.51.100.7", "10.0.0.1", "198.51.100.7"]) {
          for (assertion of ["one", "two", undefined]) {
            const asked = { lines, target, peerAddress };
            const known = await forwarded(rules, { ...asked, notes });
            const anew = await forwarded(rules, asked);
            expect(known.lines ?? headerLines(known.headers)).toBe(headerLines(anew.headers));
            expect({ ...known, lines: undefined, headers: known.headers }).toEqual({ ...anew, lines: undefined });
          }
        }
      }
      expect(facts({ lines, notes }).notes?.carried).toBeDefined();
    }
  });

  it("has its lines at hand", async () => {
    const notes = { carried: undefined };
    const rules = place.rules();
    const ask = (requestId: string) => forwarded(rules, { lines: [bearer(tokens[0] ?? "")], notes, requestId });
    expect((await ask("rq-1")).lines).toBeUndefined();
    expect((await ask("rq-2")).lines).toContain("\r\nX-Request-Id: rq-2\r\n");
    expect((await ask("rq-3")).lines).toContain("\r\nX-Request-Id: rq-3\r\n");
  });
});

describe("an answer that comes again", () => {
  const BEARER: AnswerRules = { setCookies: [], carrier: "authorization", requestId: "rq-1" };
  const HEADERS: readonly RawHeader[] = [
    ["Content-Type", "text/plain"],
    ["Set-Cookie", "a=b; Domain=example.com"],
    ["Alt-Svc", "h3"],
    ["X-Request-Id", "the app's"],
  ];

  it.each([
    BEARER,
    { ...BEARER, carrier: "cookie" } as const,
    { ...BEARER, carrier: "query" } as const,
    { ...BEARER, setCookies: ["c=d"] },
  ])("is written as any other, for $carrier", (rules) => {
    for (const status of [200, 103, 404]) {
      for (const headers of [HEADERS, [...HEADERS, ["date", "now"] as const]]) {
        const text = `HTTP/1.1 ${status} x\r\n${headerLines(headers)}\r\n`;
        const head = scanAnswerHead(text, { method: "GET", webSocketAccept: undefined }, 32);
        for (const requestId of ["rq-1", "rq-2"]) {
          for (const other of [BEARER, rules]) {
            const whole = { ...other, requestId };
            const options = { rootServiceWorkers: false };
            const expected = answerHeaders(whole, head.status, head.endToEnd, options);
            expect(answerLines(whole, head, options)).toEqual(answerLinesOf(expected));
          }
        }
      }
    }
  });
});
