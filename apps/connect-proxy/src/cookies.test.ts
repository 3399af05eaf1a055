// What apps say of cookies, and what of it browsers hear.
import { COOKIE_NAMES, takeFromCookies } from "@sallyport/connect-token/verify";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanClearSiteData, cleanSetCookie } from "./cookies.ts";

describe("Set-Cookie", () => {
  it.each([
    "a=b",
    "session=1; Path=/; Secure; HttpOnly; SameSite=Lax",
    "__Host-a=b; Path=/; Secure",
    "x_connect_token=1",
    "_connect_tokens=1",
    "a=_connect_token",
    "next=/?_connect_token=1",
    "domain=1",
    "Domain",
    "a=Domain; Path=/domain",
    "a=b; SubDomain=x",
    "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    "",
    ";",
    "=",
  ])("goes on as it is: %s", (value) => {
    expect(cleanSetCookie(value)).toBe(value);
  });

  it.each([
    ["a=b; Domain=localhost", "a=b"],
    ["a=b; Domain=.example.com; Path=/", "a=b; Path=/"],
    ["a=b;domain=localhost;Secure", "a=b;Secure"],
    ["a=b; DOMAIN = localhost ", "a=b"],
    ["a=b;\tDomain\t=x", "a=b"],
    ["a=b; Domain", "a=b"],
    ["a=b; Domain=", "a=b"],
    ["a=b; =Domain=x", "a=b"],
    ['a=b; "Domain"=x', "a=b"],
    ["a=b; \xa0Domain=x", "a=b"],
    ["a=b; Domain=a; Path=/; domain=b", "a=b; Path=/"],
    ['a="b; Domain=c"; Path=/', 'a="b; Path=/'],
    ["domain=1; Domain=x", "domain=1"],
  ])("becomes this host's own: %s", (value, clean) => {
    expect(cleanSetCookie(value)).toBe(clean);
  });

  it.each([
    ...COOKIE_NAMES.flatMap((name) => [
      `${name}=evil`,
      `${name}=; Max-Age=0`,
      `${name}`,
      `${name.toUpperCase()}=evil`,
      `${name.toLowerCase()}=evil; Path=/a`,
      `  ${name}\t= evil`,
      `=${name}=evil`,
      ` = = ${name}=evil`,
      `"${name}"=evil`,
      `a=b, ${name}=evil`,
      `a=b; Path=/,${name}=evil; Secure`,
      `a=b; ${name}=evil`,
      `\xa0${name}=evil`,
      `${name}\x85=evil`,
    ]),
    "__Secure-_connect_token=evil",
    "__secure-_modal_connect_token=evil",
    "__Http-_connect_token=evil",
    "__Host-Http-_connect_token=evil",
    "__-_connect_token=evil",
  ])("of a token's is not heard: %s", (value) => {
    expect(cleanSetCookie(value)).toBeUndefined();
  });

  it("never leads to a token's cookie in the next request, whatever it says", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...COOKIE_NAMES,
        "Domain",
        "domain",
        "=",
        ";",
        ",",
        " ",
        "\t",
        '"',
        "a",
        "Path=/",
        "__host-",
        "evil",
      ),
      fc.string({ unit: "binary-ascii", maxLength: 2 }).map((text) => text.replace(/[\r\n\0]/g, "")),
    );
    const value = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
    let changed = 0;
    fc.assert(
      fc.property(value, (text) => {
        const clean = cleanSetCookie(text);
        if (clean !== text) changed += 1;
        if (clean === undefined) return;
        expect(takeFromCookies(storedBy(clean)).found).toEqual([]);
        expect(
          clean
            .split(";")
            .slice(1)
            .filter((part) => /^[ \t]*domain[ \t]*(=|$)/i.test(part)),
        ).toEqual([]);
        expect(cleanSetCookie(clean)).toBe(clean);
      }),
      { numRuns: 5_000 },
    );
    expect(changed).toBeGreaterThan(100);
  });

  it("costs no more than its length", () => {
    // Quadratic work on these would take minutes: the test then ends by the runner's limit.
    for (const part of [" ", "=", '"', "; Domain", ",__-", "__--", "_connect_token ", "\xa0"]) {
      cleanSetCookie(`domain${part.repeat(500_000)}_connect_token`);
    }
  });
});

/** What a browser that stores this sends back (RFC 6265bis, sections 5.6 and 5.8.3). */
function storedBy(setCookie: string): string {
  const [pair = ""] = setCookie.split(";");
  const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, "");
  const equals = pair.indexOf("=");
  if (equals < 0) return trimmed(pair);
  const name = trimmed(pair.slice(0, equals));
  const value = trimmed(pair.slice(equals + 1));
  return name === "" ? value : `${name}=${value}`;
}

describe("Clear-Site-Data", () => {
  it.each([
    ['"cache"', '"cache"'],
    ['"cache", "cookies", "storage"', '"cache", "storage"'],
    ['"cookies"', undefined],
    ['"*"', undefined],
    ['"cache","*"', '"cache"'],
    ['"COOKIES"', undefined],
    ["cookies", undefined],
    ['"cookies" ; a, "executionContexts"', '"executionContexts"'],
    ['"cache, cookies"', undefined],
    ['"storage:a"', undefined],
    ['"biscuits"', undefined],
    ["", undefined],
    [",", undefined],
  ])("%s becomes %s", (value, clean) => {
    expect(cleanClearSiteData(value)).toBe(clean);
  });
});
