// Which token counts, that none of them goes on to the app, and that nothing else is touched.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeOf } from "../test/failure.ts";
import { Platform } from "../test/platform.ts";
import type { RawHeader } from "./verify.ts";
import { COOKIE_NAMES, pairHeaders, TOKEN_NAMES, TOKEN_PREFIX, takeConnectToken } from "./verify.ts";

const platform = await Platform.start();
const [A, B, C, D] = await Promise.all(["a", "b", "c", "d"].map((id) => platform.issue({ id })));
const HOST: RawHeader = ["Host", "sb-1.example.com"];

const take = (target: string, ...headers: RawHeader[]) => takeConnectToken(target, [HOST, ...headers]);

describe("a token comes by", () => {
  it.each<[string, string, RawHeader[], object]>([
    ["a header", "/", [["Authorization", `Bearer ${A}`]], { token: A, carrier: "authorization", name: undefined }],
    ["a header in another case", "/", [["aUTHORIZATION", `bEARER   ${A} `]], { token: A, carrier: "authorization" }],
    ["a query", `/?_modal_connect_token=${A}`, [], { token: A, carrier: "query", name: "_modal_connect_token" }],
    ["a query by our name", `/a?b&_connect_token=${A}#c`, [], { token: A, carrier: "query", name: "_connect_token" }],
    ["an escaped query", `/?%5fconnect_%74oken=${A?.replaceAll(".", "%2e")}`, [], { token: A, carrier: "query" }],
    ["an absolute target", `http://sb-1.example.com?_connect_token=${A}`, [], { token: A, carrier: "query" }],
    ["a cookie", "/", [["Cookie", `a=1; _modal_connect_token=${A}; b=2`]], { token: A, name: "_modal_connect_token" }],
    ["a cookie with quotes", "/", [["cookie", `_connect_token="${A}"`]], { token: A, carrier: "cookie" }],
    [
      "a cookie in crumbs",
      "/",
      [
        ["cookie", "a=1"],
        ["cookie", `_connect_token=${A}`],
      ],
      { token: A, carrier: "cookie" },
    ],
    [
      "the twin of a cookie",
      "/",
      [["Cookie", `__Host-_connect_token=${A}`]],
      { token: A, name: "__Host-_connect_token" },
    ],
  ])("%s", (_, target, headers, expected) => {
    const taken = take(target, ...headers);
    expect(taken).toMatchObject(expected);
    expect(JSON.stringify([taken.target, taken.headers])).not.toContain(TOKEN_PREFIX);
  });

  it.each<[string, string, RawHeader[]]>([
    ["nothing", "/?a=1", [["Cookie", "a=1"]]],
    ["empty names", "/?_connect_token&_modal_connect_token=", [["Cookie", "_connect_token=; _modal_connect_token"]]],
    ["a fragment", `/#?_connect_token=${A}`, []],
    ["another name", `/?connect_token=${A}&_connect_tokens=${A}&_Connect_Token=${A}`, []],
    ["another scheme", "/", [["Authorization", "Basic YTpi"]]],
    ["a scheme that only begins so", "/", [["Authorization", `Bearerx ${"a".repeat(9)}`]]],
    ["a cookie in another case", "/", [["Cookie", "__host-_connect_token=a; __HOST-_connect_token=b"]]],
    ["a cookie whose name has blanks", "/", [["Cookie", `__Host-_connect_token =${A}`]]],
  ])("%s: none", (_, target, headers) => {
    expect(take(target, ...headers)).toMatchObject({ token: undefined, carrier: undefined, name: undefined });
  });
});

describe("of several", () => {
  const query = `/?_modal_connect_token=${B}`;
  const cookie: RawHeader = ["Cookie", `_connect_token=${C}; __Host-_modal_connect_token=${D}`];

  it("the header counts, then the query, then the twin of a cookie, then a cookie", () => {
    expect(take(query, ["Authorization", `Bearer ${A}`], cookie).token).toBe(A);
    expect(take(query, cookie).token).toBe(B);
    expect(take("/", cookie).token).toBe(D);
    expect(take("/", ["Cookie", `_connect_token=${C}`]).token).toBe(C);
  });

  it("our own name counts before the other, wherever it stands", () => {
    expect(take(`/?_modal_connect_token=${A}&_connect_token=${B}`).token).toBe(B);
    expect(take("/", ["Cookie", `_modal_connect_token=${A}; _connect_token=${B}`]).token).toBe(B);
    expect(take("/", ["Cookie", `__Host-_modal_connect_token=${A}; __Host-_connect_token=${B}`]).token).toBe(B);
    expect(COOKIE_NAMES.slice(0, 2).every((name) => name.startsWith("__Host-"))).toBe(true);
  });

  it("none goes on, whichever counts, and the names of cookies are told", () => {
    const taken = take(query, ["Authorization", `Bearer ${A}`], cookie, ["Referer", `https://a/${query}`]);
    expect(taken.target).toBe("/");
    expect(taken.headers).toEqual([HOST, ["Referer", "https://a//"]]);
    expect(taken.cookies).toEqual(["_connect_token", "__Host-_modal_connect_token"]);
  });

  it("an empty one does not count", () => {
    expect(take(`/?_connect_token=&_modal_connect_token=${A}`).token).toBe(A);
    expect(take("/?_connect_token=", ["Cookie", `__Host-_connect_token=; _connect_token=${A}`]).token).toBe(A);
  });

  it("the same one twice is one, and two under one name are refused", async () => {
    expect(take(`/?_connect_token=${A}&_connect_token=${A}`).token).toBe(A);
    expect(await codeOf(() => take(`/?_connect_token=${A}&_connect_token=${B}`))).toBe("Ambiguous");
    const cookies: RawHeader[] = [
      ["Cookie", `_connect_token=${A}`],
      ["Cookie", `_connect_token=${B}`],
    ];
    expect(await codeOf(() => take("/", ...cookies))).toBe("Ambiguous");
    // A sibling that tosses two plain cookies does not get at a browser that has the twin.
    expect(take("/", ...cookies, ["Cookie", `__Host-_connect_token=${C}`]).token).toBe(C);
    const bearer: RawHeader = ["Authorization", `Bearer ${A}`];
    expect(await codeOf(() => take("/", bearer, bearer))).toBe("Ambiguous");
    expect(await codeOf(() => take("/", ["Authorization", "Basic YTpi"], bearer))).toBe("Ambiguous");
  });
});

describe("an app's own", () => {
  it("Authorization stays, and counts as a bad token only where there is no other", () => {
    const bearer: RawHeader = ["Authorization", "Bearer app-key"];
    const withQuery = take(`/?_connect_token=${A}`, bearer);
    expect(withQuery).toMatchObject({ token: A, carrier: "query", headers: [HOST, bearer] });
    expect(take("/", bearer)).toMatchObject({ token: "app-key", carrier: "authorization" });
    const basic: RawHeader = ["authorization", "Basic YTpi"];
    expect(take("/", ["Cookie", `_connect_token=${A}`], basic)).toMatchObject({ token: A, headers: [HOST, basic] });
  });

  it("Authorization goes if a connect token stands in it, however it is written", () => {
    for (const value of [`Token ${A}`, `${A}`, `Bearer ${A}, Bearer ${B}`, `Digest a="${A}"`]) {
      expect(take(`/?_connect_token=${B}`, ["Authorization", value]).headers).toEqual([HOST]);
    }
  });
});

describe("what is left", () => {
  it.each([
    [`/?_connect_token=${A}`, "/"],
    [`/?_connect_token=${A}#a`, "/#a"],
    [`/?&_connect_token=${A}`, "/?"],
    [`/?_connect_token=${A}&`, "/?"],
    [`/?a=1&_connect_token=${A}&b=2`, "/?a=1&b=2"],
    [`/?a=%zz&&_connect_token=${A}&?b=%5F+&&`, "/?a=%zz&&?b=%5F+&&"],
    [`/?_connect_token=${A}&a=1&_modal_connect_token=${B}&_connect_token`, "/?a=1"],
    [`/;_connect_token=1?a;b&_connect_token=${A}`, "/;_connect_token=1?a;b"],
    ["*", "*"],
  ])("of the target %s is %s", (target, rest) => {
    expect(take(target).target).toBe(rest);
  });

  it.each([
    [`_connect_token=${A}`, undefined],
    [`_connect_token=${A};`, undefined],
    [`_connect_token=${A}; b=2`, "b=2"],
    [`a=1; _connect_token=${A}`, "a=1"],
    [`a=1;_connect_token=${A};b="2;  c = 3`, 'a=1;b="2;  c = 3'],
    [`a=_connect_token=1; __Host-_connect_token=${A};; =b;c`, "a=_connect_token=1;; =b;c"],
    [`a=1; _connect_token =${A}; \t_modal_connect_token\t= ${B}; b`, "a=1; b"],
    ["a=1; x_connect_token=2", "a=1; x_connect_token=2"],
  ])("of the cookies %s is %s", (value, rest) => {
    const expected = rest === undefined ? [HOST] : [HOST, ["Cookie", rest]];
    expect(take("/", ["Cookie", value]).headers).toEqual(expected);
  });

  it("is the very same target and list where there is no token", () => {
    const headers = [HOST, ["Cookie", "a=1"], ["Referer", "https://a/?b"], ["Authorization", "Basic YTpi"]] as const;
    const taken = takeConnectToken("/?a=1", headers);
    expect(taken.headers).toBe(headers);
    expect(taken.target).toBe("/?a=1");
  });

  it("keeps order, case and repetition of all other headers", () => {
    const others: RawHeader[] = [
      ["x-A", "1"],
      ["X-a", "2"],
      ["cookie2", "a"],
      ["x-A", "1"],
    ];
    const taken = take("/", ...others.slice(0, 2), ["Cookie", `_connect_token=${A}`], ...others.slice(2));
    expect(taken.headers).toEqual([HOST, ...others]);
  });

  it("pairs what Node lists flat", () => {
    expect(pairHeaders(["A", "1", "b", "2"])).toEqual([
      ["A", "1"],
      ["b", "2"],
    ]);
    expect(pairHeaders([])).toEqual([]);
  });
});

/** Pieces of which targets and cookies are made, and the ones that parsers stumble over. */
const piece = fc.oneof(
  fc.constantFrom(
    ...TOKEN_NAMES,
    ...COOKIE_NAMES,
    "=",
    "&",
    "?",
    "#",
    ";",
    "; ",
    " ",
    "\t",
    '"',
    "%",
    "%5F",
    "%5f_",
    "%e9",
  ),
  fc.constantFrom("%63onnect", "_connect", "_token", "+", "/", "..", "a", "=1", "http://a"),
  fc.string({ unit: "binary-ascii", maxLength: 4 }),
);
const text = fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join(""));

describe("whatever comes", () => {
  it("a target loses the token's parameters, as the platform's own parser sees them, and no other", () => {
    const paramsOf = (target: string) => {
      const before = target.split("#", 1)[0] ?? "";
      return [...new URLSearchParams(before.includes("?") ? before.slice(before.indexOf("?") + 1) : "")];
    };
    fc.assert(
      fc.property(text, (target) => {
        const rest = targetOf(target);
        expect(paramsOf(rest)).toEqual(paramsOf(target).filter(([name]) => !TOKEN_NAMES.includes(name)));
        expect(targetOf(rest)).toBe(rest);
      }),
      { numRuns: 5_000 },
    );
  });

  it("cookies lose the token's, and no other", () => {
    const pairsOf = (value: string) => value.split(";").map((pair) => pair.replace(/^[ \t]+/, ""));
    const isOurs = (pair: string) => COOKIE_NAMES.includes(/^([^=]*?)[ \t]*=/.exec(pair)?.[1] ?? "");
    const withoutOurs = (value: string) =>
      value
        .split(";")
        .filter((pair) => !isOurs(pair.replace(/^[ \t]+/, "")))
        .join(";")
        .replace(/^[ \t]+/, "");
    fc.assert(
      fc.property(text, (value) => {
        const [, rest] = takeConnectToken("/", [["Cookie", value]]).headers[0] ?? ["", ""];
        expect(pairsOf(rest)).toEqual(pairsOf(pairsOf(value).some(isOurs) ? withoutOurs(value) : value));
      }),
      { numRuns: 5_000 },
    );
  });

  it("tokens put anywhere are all found again, and the rest is what stood around them", () => {
    const safe = fc.string({ unit: fc.constantFrom(..."abc=%2+.~!_-".split("")), maxLength: 8 });
    const token = fc.constantFrom(A, B, C, D).map(String);
    const param = fc.oneof(
      safe.map((other) => ({ other })),
      fc.record({ name: fc.constantFrom(...TOKEN_NAMES), token }),
    );
    const cookie = fc.oneof(
      safe.map((other) => ({ other })),
      fc.record({ name: fc.constantFrom(...COOKIE_NAMES), token }),
    );
    const written = (items: readonly ({ other: string } | { name: string; token: string })[]) =>
      items.map((item) => ("other" in item ? item.other : `${item.name}=${item.token}`));
    const others = (items: readonly object[]) => items.flatMap((item) => ("other" in item ? [String(item.other)] : []));
    fc.assert(
      fc.property(
        fc.array(param, { minLength: 1 }),
        fc.array(cookie, { minLength: 1 }),
        fc.boolean(),
        (query, cookies, bearer) => {
          const path = `/p?${written(query).join("&")}`;
          const headers: RawHeader[] = [
            HOST,
            ["Cookie", written(cookies).join("; ")],
            ["Referer", `https://a${path}`],
            ["X-Last", "1"],
          ];
          if (bearer) headers.push(["Authorization", `Bearer ${A}`]);
          const taken = orAmbiguous(() => takeConnectToken(path, headers));
          if (taken === undefined) return;
          expect(JSON.stringify([taken.target, taken.headers])).not.toContain(TOKEN_PREFIX);
          const rest = others(query).length === 0 ? "/p" : `/p?${others(query).join("&")}`;
          expect(taken.target).toBe(rest);
          const left = others(cookies).join("; ");
          const cookieLeft: RawHeader[] =
            left === "" && tokensOf(cookies, "cookie").length > 0 ? [] : [["Cookie", left]];
          expect(taken.headers).toEqual([HOST, ...cookieLeft, ["Referer", `https://a${rest}`], ["X-Last", "1"]]);
          const came = [
            ...(bearer ? ["authorization"] : []),
            ...tokensOf(query, "query"),
            ...tokensOf(cookies, "cookie"),
          ];
          expect(taken.carrier).toBe(came[0]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("a long hostile target or cookie costs no more than its length", () => {
    // Quadratic work on these would take minutes: the test then ends by the runner's limit.
    for (const part of ["%", "%5", "_connect_token", "&", "=", ";", " ", "%5F", "_connect_token=;"]) {
      const long = part.repeat(200_000);
      takeConnectToken(`/?${long}`, [
        ["Cookie", `_connect_token=${long}`],
        ["Authorization", `Bearer ${long}`],
      ]);
    }
  });
});

function targetOf(target: string): string {
  return takeConnectToken("/", [["Referer", target]]).headers[0]?.[1] ?? "";
}

function tokensOf(items: readonly object[], carrier: string): string[] {
  return items.some((item) => "token" in item) ? [carrier] : [];
}

/** Undefined where two tokens under one name differ. */
function orAmbiguous<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    expect(error).toMatchObject({ code: "Ambiguous" });
    return undefined;
  }
}
