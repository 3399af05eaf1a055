import { describe, expect, it } from "vitest";
import type { ConnectStatus } from "./connect-request.ts";
import {
  CONNECT_STATUSES,
  formatConnectAnswer,
  formatConnectRequest,
  parseConnectAnswer,
  parseConnectRequest,
} from "./connect-request.ts";

const REQUEST = {
  instanceId: "in-01jz0000000000000000000001",
  sandboxId: "sb-01jz0000000000000000000002",
  port: 8080,
  grantPort: 8080,
};
const AUTHORITY = `${REQUEST.instanceId}.${REQUEST.sandboxId}:8080`;

/** A head without its empty line. */
function head(...lines: string[]): string {
  return lines.join("\r\n");
}

describe("a CONNECT request", () => {
  it("has the form that the file's head shows", () => {
    expect(formatConnectRequest(REQUEST)).toBe(
      `CONNECT ${AUTHORITY} HTTP/1.1\r\nhost: ${AUTHORITY}\r\nsallyport-grant-port: 8080\r\n\r\n`,
    );
  });

  it.each([REQUEST, { ...REQUEST, port: 1, grantPort: 65_535 }, { ...REQUEST, grantPort: undefined }])(
    "is read as it was written (%#)",
    (request) => {
      expect(parseConnectRequest(formatConnectRequest(request).slice(0, -4))).toEqual(request);
    },
  );

  it("may have headers of others, in any case and with white space", () => {
    const lines = [`HOST:\t${AUTHORITY} `, "traceparent: 00-aa-bb-01", "Empty:", "SALLYPORT-GRANT-PORT:8080"];
    expect(parseConnectRequest(head(`CONNECT ${AUTHORITY} HTTP/1.1`, ...lines))).toEqual(REQUEST);
  });

  it.each([
    ["no Host", [`CONNECT ${AUTHORITY} HTTP/1.1`]],
    ["another Host", [`CONNECT ${AUTHORITY} HTTP/1.1`, "Host: example.com"]],
    ["Host twice", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, `Host: ${AUTHORITY}`]],
    ["a folded line", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, " more: x"]],
    ["a space before the colon", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host : ${AUTHORITY}`]],
    ["a bare line feed", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}\nX: y`]],
    ["a NUL", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, "X: a\0b"]],
    ["a body", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, "Content-Length: 1"]],
    ["a chunked body", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, "Transfer-Encoding: chunked"]],
    ["another method", [`connect ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`]],
    ["HTTP/1.0", [`CONNECT ${AUTHORITY} HTTP/1.0`, `Host: ${AUTHORITY}`]],
    ["two spaces", [`CONNECT  ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`]],
    ["a grant port of words", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, "Sallyport-Grant-Port: all"]],
    ["a grant port with a sign", [`CONNECT ${AUTHORITY} HTTP/1.1`, `Host: ${AUTHORITY}`, "Sallyport-Grant-Port: +1"]],
  ])("with %s is refused", (_what, lines) => {
    expect(parseConnectRequest(head(...lines))).toBeUndefined();
  });

  it.each(["0", "08080", "65536", "99999", "", "-1"])("to port %j is refused", (port) => {
    const authority = AUTHORITY.replace("8080", port);
    expect(parseConnectRequest(head(`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`))).toBeUndefined();
  });
});

describe("an answer", () => {
  it.each(Object.keys(CONNECT_STATUSES).map(Number) as ConnectStatus[])("%i is read as it was written", (status) => {
    expect(parseConnectAnswer(formatConnectAnswer(status, "why"))).toBe(status);
  });

  it.each(["", "HTTP/1.1 201 Created", "HTTP/2 200 OK", "HTTP/1.1 2000 OK", "ftp"])("%j is none of ours", (text) => {
    expect(parseConnectAnswer(text)).toBeUndefined();
  });
});
