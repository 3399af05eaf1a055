// Bad input over HTTP: refused by a problem that names what is wrong, never by Internal, never by silence.
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestApi } from "../../test/fixtures.ts";
import { makeWorkspace, startTestApi } from "../../test/fixtures.ts";

let api: TestApi;
let rest: RestClient;
let token: string;
beforeAll(async () => {
  api = await startTestApi();
  rest = new RestClient(api.api.httpPort);
  ({ token } = await makeWorkspace(api, "hostile"));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const ID = "sb-01jd0000000000000000000000";

describe("a body", () => {
  it.each([
    ['{"idempotencyKey": "k", "nope": 1}', "nope"],
    ['{"idempotencyKey": 5}', "idempotency_key"],
    ['{"idempotencyKey": "k", "cpuMillis": "many"}', "cpu_millis"],
    ['{"idempotencyKey": "k", "cpuMillis": 1}', "cpu_millis"],
    ['{"idempotencyKey": "k", "lifetimeMs": "99999999999999999999"}', "lifetime_ms"],
    ['{"idempotencyKey": "k", "lifetimeMs": "9007199254740993"}', "lifetime_ms"],
    ['{"idempotencyKey": "k", "network": {"open": {}, "blocked": {}}}', "network.blocked"],
    ['{"idempotencyKey": "k", "network": {}}', "network"],
    ['{"idempotencyKey": "k", "env": {"__proto__": "x"}}', "env"],
    ['{"idempotencyKey": "k", "env": {"A": "\\u0000"}}', "env.A"],
    ['{"idempotencyKey": "k", "tags": {"__proto__": "x"}}', "tags"],
    ['{"__proto__": {"image": "x"}}', "__proto__"],
    ['{"constructor": {"prototype": {}}}', "constructor"],
    ['{"image": "a", "image": "b"}', "image"],
    ['{"image": "\\ud800"}', "image"],
    ["", "idempotency_key"],
    ["{}", "idempotency_key"],
  ])("is refused by its field: %s", async (body, field) => {
    const { status, type, json } = await rest.call("POST", "/v1/sandboxes", { token, body });
    expect({ status, type, code: json["code"], field: json["field"] }).toEqual({
      status: 400,
      type: "application/problem+json",
      code: "InvalidArgument",
      field,
    });
    expect(json["detail"]).toContain(field);
  });

  it.each([["not JSON"], ["[]"], ["null"], ["{"], ['{"a":1}x'], ["[".repeat(100_000)], ["\ufeff{}"], ["NaN"]])(
    "that is no JSON object is refused: %#",
    async (body) => {
      const { status, json } = await rest.call("POST", "/v1/sandboxes", { token, body });
      expect([status, json["code"]]).toEqual([400, "InvalidArgument"]);
    },
  );

  it("may be nested deeply and is refused for it at once", async () => {
    const body = `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`;
    expect((await rest.call("POST", "/v1/sandboxes", { token, body })).json["field"]).toBe("a");
  });

  it("is bounded", async () => {
    const large = await rest.call("POST", "/v1/sandboxes", { token, body: `{"image": "${"x".repeat(3 << 20)}"}` });
    expect(large).toMatchObject({ status: 413, json: { code: "InvalidArgument" } });
    const head = `POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    const chunk = `${(1 << 16).toString(16)}\r\n${" ".repeat(1 << 16)}\r\n`;
    const answer = await rest.raw(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(40)}`, /413/);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("is JSON, in UTF-8, not compressed", async () => {
    for (const headers of [
      { "content-type": "text/plain" },
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-type": "application/json; charset=latin1" },
      { "content-encoding": "gzip" },
    ] as Record<string, string>[]) {
      const { status, json } = await rest.call("POST", "/v1/sandboxes", { token, body: "{}", headers });
      expect([status, json["code"]], JSON.stringify(headers)).toEqual([415, "InvalidArgument"]);
    }
    const head = `POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    const bytes = Buffer.concat([Buffer.from(`${head}Content-Length: 4\r\n\r\n{"`), Buffer.of(0xff, 0x22)]);
    expect(await rest.raw(bytes)).toMatch(/^HTTP\/1\.1 400 [\s\S]*no UTF-8/);
  });

  it("is not for a GET or a DELETE", async () => {
    const raw = `GET /v1/usage HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`;
    expect(await rest.raw(raw)).toMatch(/^HTTP\/1\.1 400 [\s\S]*takes no body/);
    expect((await rest.call("DELETE", "/v1/images/im-1", { token, body: {} })).status).toBeOneOf([400, 404]);
  });
});

describe("a path and a query", () => {
  it.each([
    ["GET", "/v1/sandboxes?nope=1", "nope"],
    ["GET", "/v1/sandboxes?pageSize=-1", "page_size"],
    ["GET", "/v1/sandboxes?pageSize=1001", "page_size"],
    ["GET", "/v1/sandboxes?pageSize=1&page_size=1", "page_size"],
    ["GET", "/v1/sandboxes?tags=x", "tags"],
    ["GET", "/v1/sandboxes?tags[__proto__]=x", "tags"],
    ["GET", "/v1/sandboxes?includeEnded=maybe", "include_ended"],
    ["GET", "/v1/sandboxes?pageToken=forged", "page_token"],
    ["GET", "/v1/sandboxes/x", "sandbox_id"],
    ["GET", "/v1/sandboxes/%00", "sandbox_id"],
    ["GET", "/v1/sandboxes/..%2f..", "sandbox_id"],
    ["GET", `/v1/sandboxes/${"x".repeat(5_000)}`, "sandbox_id"],
    ["GET", `/v1/sandboxes/${ID}?sandbox_id=${ID}`, "sandbox_id"],
    ["POST", `/v1/sandboxes/${ID}/wait?waitMs=1`, "waitMs"],
  ])("is refused by its field: %s %s", async (verb, path, field) => {
    const { status, json } = await rest.call(verb, path, { token });
    expect([status, json["code"], json["field"]]).toEqual([400, "InvalidArgument", field]);
  });

  it.each(["/v1/sandboxes?pageToken=%ff", "/v1/sandboxes?%", `/v1/sandboxes?${"a=1&".repeat(300)}`])(
    "of no meaning is refused: %s",
    async (path) => {
      expect((await rest.call("GET", path, { token })).json["code"]).toBe("InvalidArgument");
    },
  );

  it("of nothing is a problem too", async () => {
    for (const path of ["/", "/v1", "/v1/nope", "/v1/sandboxes/", "/v1//sandboxes", "/%00", "/%ff%fe"]) {
      const { status, type, json } = await rest.call("GET", path, { token });
      expect([status, type, json["code"]], path).toEqual([404, "application/problem+json", "NotFound"]);
    }
  });
});

describe("bytes that two parsers may read in two ways", () => {
  const head = "POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n";
  it.each([
    ["two lengths", `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
    ["length and chunks", `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunked twice", `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`, 400],
    ["a strange chunk size", `${head}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`, 400],
    ["two hosts", "GET /v1/usage HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400],
    ["a space before the colon", `${head}Content-Length : 2\r\n\r\n{}`, 400],
    ["a folded header", `${head}X: a\r\n b\r\n\r\n`, 400],
    ["a bare line feed", "GET /v1/usage HTTP/1.1\nHost: x\n\n", 400],
    ["a NUL in a header", `${head}X: a\0b\r\n\r\n`, 400],
    ["no host", "GET /v1/usage HTTP/1.1\r\n\r\n", 400],
    ["a host of no shape", "GET /v1/usage HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400],
    ["another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["a negative length", `${head}Content-Length: -1\r\n\r\n`, 400],
    ["a huge head", `${head}X: ${"a".repeat(20_000)}\r\n\r\n`, 431],
  ])("%s", async (_name, bytes, status) => {
    const answer = await rest.raw(Buffer.from(bytes, "latin1"), /\r\n\r\n[\s\S]*\}$/);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*application/problem\\+json`));
    expect(answer).not.toContain("Internal");
  });

  it("absolute targets mean their path, and only theirs", async () => {
    const absolute = (target: string) =>
      `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    expect(await rest.raw(absolute("http://elsewhere.example/v1/usage"))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await rest.raw(absolute("ftp://elsewhere.example/v1/usage"))).toMatch(/^HTTP\/1\.1 400 /);
    expect(await rest.raw(absolute("*"))).toMatch(/^HTTP\/1\.1 4/);
    expect(await rest.raw("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")).not.toMatch(/200/);
  });

  it("requests in a row are answered in their order", async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`;
    const answer = await rest.raw(
      `${one("/v1/usage")}\r\n${one("/v1/nope")}\r\n${one("/v1/usage")}Connection: close\r\n\r\n`,
    );
    expect(answer.match(/HTTP\/1\.1 (\d+)/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"]);
  });

  it("two credentials are none", async () => {
    const authorization = `Authorization: Bearer ${token}\r\n`;
    const raw = `GET /v1/usage HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}${authorization}\r\n`;
    expect(await rest.raw(raw)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it("a head that does not end is given up", async () => {
    expect(await rest.raw("GET /v1/usage HTTP/1.1\r\nHost: x\r\n")).toMatch(/^HTTP\/1\.1 408 [\s\S]*DeadlineExceeded/);
  });
});
