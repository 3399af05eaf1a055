// What an app is told of a request, and who says it.
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { bearer, cookie, forwarded, HOST, Place, valuesOf } from "../test/rules/place.ts";
import { flatName } from "./header-names.ts";
import type { ConnectRules } from "./rules.ts";

const MARK = "sp00fed";
const OWN = [
  ["X-Forwarded-For", "198.51.100.7"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Host", HOST],
  ["Forwarded", `for=198.51.100.7;host="${HOST}";proto=https`],
  ["X-Request-Id", "rq-1"],
  ["X-Verified-User-Data", '{"user_id":"foo"}'],
  ["X-Verified-User-Assertion", "assertion of ct-1"],
];

let place: Place;
let rules: ConnectRules;
let token: string;
beforeAll(async () => {
  place = await Place.start();
  rules = place.rules();
  token = await place.token({ userMetadata: { user_id: "foo" } });
});

const told = async (lines: readonly string[], by: ConnectRules = rules) =>
  (await forwarded(by, { lines: [...lines, bearer(token)] })).headers;

describe("an app is told", () => {
  it("Host, what the client says, and at the end what the platform says", async () => {
    expect(await told(["Accept: */*", "accept: a", "X-A: 1"])).toEqual([
      ["Host", HOST],
      ["Accept", "*/*"],
      ["accept", "a"],
      ["X-A", "1"],
      ...OWN,
    ]);
  });

  it("nothing of user data that the token has none of, and no assertion without a published key", async () => {
    const bare = await place.token({ id: "ct-9" });
    const quiet = place.rules({ assertions: { assertionFor: () => undefined } });
    const { headers } = await forwarded(quiet, {
      lines: [bearer(bare), `X-Verified-User-Data: ${MARK}`, `X-Verified-User-Assertion: ${MARK}`],
    });
    expect(JSON.stringify(headers)).not.toMatch(/verified|sp00fed/i);
    const empty = await place.token({ id: "ct-8", userMetadata: null });
    expect(valuesOf((await forwarded(quiet, { lines: [bearer(empty)] })).headers, "X-Verified-User-Data")).toEqual([
      "null",
    ]);
  });

  it("each assertion of a token as long as it is the one, and no longer", async () => {
    let assertion: string | undefined = "first";
    const changing = place.rules({ assertions: { assertionFor: () => assertion } });
    for (const next of ["first", "first", "second", undefined, "first"]) {
      assertion = next;
      const headers = await told([], changing);
      expect(valuesOf(headers, "X-Verified-User-Assertion")).toEqual(next === undefined ? [] : [next]);
      expect(valuesOf(headers, "X-Verified-User-Data")).toEqual(['{"user_id":"foo"}']);
    }
  });

  it("cookies but the token's, and a Referer without it, byte for byte", async () => {
    const lines = [
      `Cookie: a="1; _connect_token=${token}; b=%20; c`,
      `Referer: https://${HOST}/?_connect_token=x&a=%zz#b`,
    ];
    const headers = await told(lines);
    expect(valuesOf(headers, "Cookie")).toEqual(['a="1; b=%20; c']);
    expect(valuesOf(headers, "Referer")).toEqual([`https://${HOST}/?a=%zz#b`]);
  });

  it("of the token nothing, wherever else it stands, and of the rest what can be told from it", async () => {
    for (const [line, left] of [
      [`X-Token: ${token}`, undefined],
      [`X-Url: https://a/?next=1&_connect_token=${token}`, "https://a/?next=1"],
      [`Referer: https://a/?next=https%3A%2F%2Fb%2F%3F_connect_token%3D${token}`, undefined],
      [`Cookie: a=1; other=${token}; b=2`, "a=1; b=2"],
      [`Cookie: other=${token}`, undefined],
      [`Sec-WebSocket-Protocol: bearer, ${token}`, undefined],
    ] as const) {
      const name = line.slice(0, line.indexOf(":"));
      expect(valuesOf(await told([line]), name)).toEqual(left === undefined ? [] : [left]);
    }
    // Another one is a value like any other: an app may be told of a sandbox to call.
    const other = await place.token({ id: "ct-7" });
    expect(valuesOf(await told([`X-Token: ${other}`]), "X-Token")).toEqual([other]);
  });

  it("an Authorization of its own, where the token came otherwise", async () => {
    const { headers } = await forwarded(rules, { lines: ["Authorization: Basic YTpi", cookie(token)] });
    expect(valuesOf(headers, "Authorization")).toEqual(["Basic YTpi"]);
  });
});

describe("a client does not say", () => {
  const NAMES = [
    "X-Verified-User-Data",
    "X-Verified-User-Assertion",
    "X-Verified-Anything",
    "X-Request-Id",
    "Proxy",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Client-Cert",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Forwarded-Uri",
    "X-Forwarded",
    "Forwarded-For",
    "Client-IP",
    "X-Envoy-External-Address",
    "Remote-User",
    "X-Remote-User",
    "X-Remote-Addr",
    "X-WEBAUTH-USER",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-Client-Cert",
    "X-SSL-Client-Verify",
  ];
  const spellings = (name: string) => [
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    name.replaceAll("-", "_"),
    name.replace("-", "_").toLowerCase(),
    name.replaceAll("-", "."),
    name.replaceAll("-", "~").toUpperCase(),
    `${name}_`,
    `_${name}`,
    name.replaceAll("-", "--"),
  ];

  it.each(NAMES)("%s, in whatever spelling", async (name) => {
    for (const one of spellings(name)) {
      for (const lines of [
        [`${one}: ${MARK}`],
        [`${one}: ${MARK}`, `${one}: ${MARK}`],
        [`Connection: ${name}`, `${one}: ${MARK}`],
        [`Connection: close, ${one}`, `${one}: ${MARK}`],
      ]) {
        expect(await told(lines)).toEqual([["Host", HOST], ...OWN]);
      }
    }
  });

  it("anything by Connection about what the platform says, or the Host", async () => {
    for (const [name] of OWN) expect(await told([`Connection: ${name}, Host`])).toEqual([["Host", HOST], ...OWN]);
  });

  it("another spelling of what is read here", async () => {
    for (const name of ["Authorization_", "_Cookie", "Cookie.", "Host~", "Origin_", "Referer_"]) {
      expect(JSON.stringify(await told([`${name}: ${MARK}`]))).not.toContain(MARK);
    }
  });

  it("anything under a name that some reader takes for one of the platform's", async () => {
    const name = fc
      .array(
        fc.constantFrom(
          "x",
          "X",
          "-",
          "_",
          ".",
          "verified",
          "Verified",
          "user",
          "data",
          "User",
          "DATA",
          "HTTP",
          "~",
          "!",
        ),
        {
          minLength: 1,
          maxLength: 10,
        },
      )
      .map((pieces) => pieces.join(""));
    await fc.assert(
      fc.asyncProperty(name, async (one) => {
        const arrived = (await told([`${one}: ${MARK}`])).filter(([, value]) => value === MARK);
        for (const [left] of arrived) expect(flatName(left)).not.toContain("x-verified-");
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a proxy of the operator's", () => {
  it("is believed about where a request comes from, and continued", async () => {
    const trusting = place.rules({ isTrustedPeer: (address) => address === "198.51.100.7" });
    const lines = [
      "X-Forwarded-For: 198.51.100.1",
      "x-forwarded-for: 198.51.100.2",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: a.example",
      "X-Forwarded-Port: 80",
      "Forwarded: for=198.51.100.1",
      "X-Real-IP: 198.51.100.1",
      `X-Original-URL: /a?_connect_token=${token}&b`,
    ];
    expect(await told(lines, trusting)).toEqual([
      ["Host", HOST],
      ["X-Forwarded-Port", "80"],
      ["X-Real-IP", "198.51.100.1"],
      ["X-Original-URL", "/a?b"],
      ["X-Forwarded-For", "198.51.100.1, 198.51.100.2, 198.51.100.7"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "a.example"],
      ["Forwarded", `for=198.51.100.1, for=198.51.100.7;host="${HOST}";proto=https`],
      ...OWN.slice(4),
    ]);
  });

  it("is not believed about who asks", async () => {
    const trusting = place.rules({ isTrustedPeer: () => true });
    for (const name of ["X-Verified-User-Data", "x_verified_user_assertion", "Proxy", "X-Request-Id"]) {
      expect(JSON.stringify(await told([`${name}: ${MARK}`], trusting))).not.toContain(MARK);
    }
    const { headers } = await forwarded(trusting, { lines: [bearer(token)] });
    expect(headers).toEqual([["Host", HOST], ...OWN]);
  });
});
