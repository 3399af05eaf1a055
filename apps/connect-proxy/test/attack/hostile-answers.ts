// Answers of an app in the hands of an attacker, as bytes. What the client gets must be sound HTTP, or a broken connection.
import type { AppConnection } from "./raw-app.ts";
import type { ReadMessage } from "./strict-http.ts";

/** What the client may see. */
export type Seen =
  /** The answer with this status and, where given, this body, whole. */
  | { readonly status: number; readonly body?: string }
  /** A refusal of the proxy's. */
  | "502"
  /** The connection ends before the answer does: the framing is never completed politely. */
  | "cut";

export interface HostileAnswer {
  readonly name: string;
  readonly method: "GET" | "HEAD";
  /** Fields of the request beside the usual ones. */
  readonly fields: readonly string[];
  /** Sends the answer. */
  readonly answer: (connection: AppConnection, request: ReadMessage) => void;
  /** Any of them. */
  readonly seen: readonly Seen[];
}

const BODY = "marked-body";
const GOOD: Seen = { status: 200, body: BODY };
/** A whole answer that would be taken for that to the next request. */
export const STRAY = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY";
const REFUSED: readonly Seen[] = ["502"];
const BROKEN: readonly Seen[] = ["502", "cut"];

type Row = readonly [bytes: string, seen: readonly Seen[], ending?: "end" | "reset"];

function table(rows: Readonly<Record<string, Row>>, method: "GET" | "HEAD" = "GET", fields: readonly string[] = []) {
  return Object.entries(rows).map(([name, [bytes, seen, ending]]): HostileAnswer => {
    const answer = ({ socket }: AppConnection) => {
      if (ending === "end") socket.end(bytes, "latin1");
      else if (ending === "reset") socket.write(bytes, "latin1", () => socket.resetAndDestroy());
      else socket.write(bytes, "latin1");
    };
    return { name: method === "GET" ? name : `${method}: ${name}`, method, fields, answer, seen };
  });
}

function ok(fields: readonly string[], body = "", line = "HTTP/1.1 200 OK"): string {
  return `${[line, ...fields].join("\r\n")}\r\n\r\n${body}`;
}

const CL = `Content-Length: ${BODY.length}`;
const TE = "Transfer-Encoding: chunked";
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;

const FRAMING: readonly HostileAnswer[] = table({
  "CL and TE": [ok([CL, TE], CHUNKED), REFUSED],
  "TE and CL": [ok([TE, CL], CHUNKED), REFUSED],
  "CL twice, the same": [ok([CL, CL], BODY), REFUSED],
  "CL twice, different": [ok([CL, "Content-Length: 5"], BODY), REFUSED],
  "CL as a list": [ok([`${CL}, ${BODY.length}`], BODY), REFUSED],
  "CL +": [ok([`Content-Length: +${BODY.length}`], BODY), REFUSED],
  "CL -1": [ok(["Content-Length: -1"], BODY), REFUSED],
  "CL hexadecimal": [ok(["Content-Length: 0xb"], BODY), REFUSED],
  "CL empty": [ok(["Content-Length:"], BODY), REFUSED],
  "CL beyond all bounds": [ok(["Content-Length: 18446744073709551627"], BODY, undefined), REFUSED],
  "CL with leading zeros": [ok([`Content-Length: 000${BODY.length}`], BODY), [GOOD, "502"]],
  "CL with _": [ok([`Content_Length: ${BODY.length}`], BODY), REFUSED, "end"],
  "CL, a space before the colon": [ok([`Content-Length : ${BODY.length}`], BODY), REFUSED],
  "TE twice": [ok([TE, TE], CHUNKED), REFUSED],
  "TE gzip": [ok(["Transfer-Encoding: gzip"], BODY), REFUSED, "end"],
  "TE gzip, chunked": [ok(["Transfer-Encoding: gzip, chunked"], CHUNKED), REFUSED],
  "TE identity": [ok(["Transfer-Encoding: identity"], BODY), REFUSED, "end"],
  "TE empty": [ok(["Transfer-Encoding:"], BODY), REFUSED, "end"],
  "TE xchunked": [ok(["Transfer-Encoding: xchunked"], CHUNKED), REFUSED],
  "TE with a VT": [ok(["Transfer-Encoding: \x0bchunked"], CHUNKED), REFUSED],
  "TE folded": [ok(["Transfer-Encoding:\r\n chunked"], CHUNKED), REFUSED],
  "TE with _": [ok(["Transfer_Encoding: chunked"], CHUNKED), REFUSED, "end"],
  "TE, a space before the colon": [ok(["Transfer-Encoding : chunked", CL], BODY), REFUSED],
  "TE in HTTP/1.0": [ok([TE], CHUNKED, "HTTP/1.0 200 OK"), REFUSED, "end"],
  "CL named by Connection": [ok(["Connection: Content-Length", CL], BODY), [GOOD, ...BROKEN]],
  "TE named by Connection": [ok(["Connection: Transfer-Encoding", TE], CHUNKED), [GOOD, ...BROKEN]],
  "TE in capitals": [ok(["TRANSFER-ENCODING: CHUNKED"], CHUNKED), [GOOD, "502"]],
  "no length, then the end": [ok(["X: y"], BODY), [GOOD], "end"],
  // The gateway's socket knows no resets: to the proxy it is an end like any other, which ends such a body.
  "no length, then a reset": [ok(["X: y"], BODY), [GOOD, "cut", "502"], "reset"],
  "no headers at all": [ok([], BODY), [GOOD], "end"],
  "HTTP/1.0, no length": [ok([], BODY, "HTTP/1.0 200 OK"), [GOOD], "end"],
  "HTTP/1.0 with a length": [ok([CL], BODY, "HTTP/1.0 200 OK"), [GOOD]],
  "HTTP/1.0 that keeps alive": [ok([CL, "Connection: keep-alive"], BODY, "HTTP/1.0 200 OK"), [GOOD]],
  "Connection: close, and goes on": [ok([CL, "Connection: close"], BODY + STRAY), [GOOD]],
});

const ENDS: readonly HostileAnswer[] = table({
  "nothing, then the end": ["", REFUSED, "end"],
  "nothing, then a reset": ["", REFUSED, "reset"],
  "half a status line": ["HTTP/1.1 2", REFUSED, "end"],
  "half a head": ["HTTP/1.1 200 OK\r\nContent-Le", REFUSED, "end"],
  "half a head, then a reset": ["HTTP/1.1 200 OK\r\nContent-Le", REFUSED, "reset"],
  "a body too short": [ok(["Content-Length: 100"], BODY), ["cut"], "end"],
  "a body too short, then a reset": [ok(["Content-Length: 100"], BODY), ["cut", "502"], "reset"],
  "a body too long": [ok([CL], `${BODY}surplus`), [GOOD]],
  "a stray answer behind": [ok([CL], BODY + STRAY), [GOOD]],
  "a stray answer behind chunks": [ok([TE], CHUNKED + STRAY), [GOOD]],
  "a stray line end behind": [ok([CL], `${BODY}\r\n`), [GOOD]],
  "two answers of different kinds": [ok([TE], CHUNKED) + ok([CL], BODY), [GOOD]],
  "ends in mid-chunk": [ok([TE], "ff\r\nmarked"), ["cut"], "end"],
  "ends between chunks": [ok([TE], `b\r\n${BODY}\r\n`), ["cut"], "end"],
  "ends in the last chunk": [ok([TE], `b\r\n${BODY}\r\n0\r\n`), ["cut"], "end"],
  "resets in mid-chunk": [ok([TE], "ff\r\nmarked"), ["cut", "502"], "reset"],
  "resets between chunks": [ok([TE], `b\r\n${BODY}\r\n`), ["cut", "502"], "reset"],
});

const chunked = (body: string) => ok([TE], body);
const CHUNKS: readonly HostileAnswer[] = table({
  "chunk size +b": [chunked(`+b\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size 0xb": [chunked(`0xb\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size -b": [chunked(`-b\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size, blank behind": [chunked(`b \r\n${BODY}\r\n0\r\n\r\n`), [GOOD, ...BROKEN]],
  "chunk size, blank in front": [chunked(` b\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size empty": [chunked(`\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size of words": [chunked(`eleven\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size that overflows 64 bits": [chunked(`1000000000000000b\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk size that overflows 32 bits": [chunked(`10000000b\r\n${BODY}\r\n0\r\n\r\n`), BROKEN, "end"],
  "chunk size without an end": [chunked("0".repeat(1_000_000)), BROKEN],
  "chunk line ends by LF": [chunked(`b\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk line ends by CR": [chunked(`b\r${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk ends by LF": [chunked(`b\r\n${BODY}\n0\r\n\r\n`), BROKEN],
  "chunk is longer than it says": [chunked(`b\r\n${BODY}!\r\n0\r\n\r\n`), BROKEN],
  "chunk with an extension": [chunked(`b;a=b\r\n${BODY}\r\n0\r\n\r\n`), [GOOD, ...BROKEN]],
  "chunk with an extension of a bare LF": [chunked(`b;a\nb\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "chunk with an extension of a megabyte": [chunked(`b;${"e".repeat(1_000_000)}\r\n${BODY}\r\n0\r\n\r\n`), BROKEN],
  "last chunk 00": [chunked(`b\r\n${BODY}\r\n00\r\n\r\n`), [GOOD, ...BROKEN]],
  "last chunk ends by LF LF": [chunked(`b\r\n${BODY}\r\n0\n\n`), BROKEN],
  "a trailer": [chunked(`b\r\n${BODY}\r\n0\r\nX-Sum: y\r\n\r\n`), [GOOD]],
  "a trailer that frames": [chunked(`b\r\n${BODY}\r\n0\r\nContent-Length: 5\r\n\r\n`), [GOOD, ...BROKEN]],
  "a folded trailer": [chunked(`b\r\n${BODY}\r\n0\r\nX: y\r\n z\r\n\r\n`), BROKEN],
  "a trailer of a megabyte": [chunked(`b\r\n${BODY}\r\n0\r\nX: ${"y".repeat(1_000_000)}\r\n\r\n`), BROKEN],
  "a trailer that is an answer": [chunked(`b\r\n${BODY}\r\n0\r\n${STRAY}`), BROKEN, "end"],
});

const plain = (line: string) => ok([CL], BODY, line);
const HEADS: readonly HostileAnswer[] = table({
  "HTTP/0.9": [BODY, REFUSED, "end"],
  "HTTP/2.0": [plain("HTTP/2.0 200 OK"), REFUSED],
  "HTTP/1.2": [plain("HTTP/1.2 200 OK"), REFUSED],
  "http/1.1 in small letters": [plain("http/1.1 200 OK"), REFUSED],
  "ICY 200": [plain("ICY 200 OK"), REFUSED],
  "a banner of SSH": ["SSH-2.0-OpenSSH_9.2p1\r\n", REFUSED, "end"],
  "an alert of TLS": ["\x15\x03\x01\x00\x02\x02\x46", REFUSED, "end"],
  "status 99": [plain("HTTP/1.1 99 Odd"), REFUSED],
  "status 000": [plain("HTTP/1.1 000 Odd"), REFUSED],
  "status 600": [plain("HTTP/1.1 600 Odd"), [{ status: 600 }, "502"]],
  "status 999": [plain("HTTP/1.1 999 Odd"), [{ status: 999 }, "502"]],
  "status 1000": [plain("HTTP/1.1 1000 Odd"), REFUSED],
  "status 2x0": [plain("HTTP/1.1 2x0 Odd"), REFUSED],
  "status +20": [plain("HTTP/1.1 +20 Odd"), REFUSED],
  "status of letters": [plain("HTTP/1.1 abc Odd"), REFUSED],
  "no space behind the status": [plain("HTTP/1.1 200OK"), REFUSED],
  "no reason": [plain("HTTP/1.1 200 "), [GOOD]],
  "no reason and no space": [plain("HTTP/1.1 200"), [GOOD, "502"]],
  "two spaces before the status": [plain("HTTP/1.1  200 OK"), REFUSED],
  "a tab before the status": [plain("HTTP/1.1\t200 OK"), REFUSED],
  "a NUL in the reason": [plain("HTTP/1.1 200 O\0K"), REFUSED],
  "a bare CR in the reason": [plain("HTTP/1.1 200 O\rK"), REFUSED],
  "a bare LF in the reason": [plain("HTTP/1.1 200 O\nK"), REFUSED],
  "a high byte in the reason": [plain("HTTP/1.1 200 \xe4"), [GOOD, "502"]],
  "an empty line in front": [`\r\n${plain("HTTP/1.1 200 OK")}`, [GOOD, "502"]],
  "lines end by LF": [plain("HTTP/1.1 200 OK").replaceAll("\r\n", "\n"), REFUSED],
  "the head ends by LF LF": [`HTTP/1.1 200 OK\r\n${CL}\n\n${BODY}`, REFUSED, "end"],
  "a fold": [ok([CL, "X: a\r\n b"], BODY), REFUSED],
  "a line without a colon": [ok([CL, "Nothing"], BODY), REFUSED],
  "an empty name": [ok([CL, ": x"], BODY), REFUSED],
  "a space in a name": [ok([CL, "X Y: z"], BODY), REFUSED],
  "a NUL in a value": [ok([CL, "X: a\0b"], BODY), REFUSED],
  "a bare CR in a value": [ok([CL, "X: a\rSet-Cookie: b=c"], BODY), REFUSED],
  "a bare LF in a value": [ok([CL, "X: a\nSet-Cookie: b=c"], BODY), REFUSED],
  "high bytes in a value": [ok([CL, "X: \xe4\xff"], BODY), [GOOD]],
  "ten thousand headers": [ok([...Array.from({ length: 10_000 }, (_, at) => `X-${at}: y`), CL], BODY), REFUSED],
  "a header of a megabyte": [ok([`X: ${"y".repeat(1_000_000)}`, CL], BODY), REFUSED],
  "a head without an end": [
    `HTTP/1.1 200 OK\r\n${"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(40_000)}`,
    REFUSED,
  ],
});

const INFORMATIONAL: readonly HostileAnswer[] = table({
  "100 unasked": [`HTTP/1.1 100 Continue\r\n\r\n${ok([CL], BODY)}`, [GOOD]],
  "102 and 103, then the answer": [
    `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n${ok([CL], BODY)}`,
    [GOOD],
  ],
  "ten thousand times 103": [`${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000)}${ok([CL], BODY)}`, BROKEN],
  "103 without an end": ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000), BROKEN],
  "103, then the end": ["HTTP/1.1 103 Early Hints\r\n\r\n", BROKEN, "end"],
  "103 with a body": [`HTTP/1.1 103 Early Hints\r\n${CL}\r\n\r\n${BODY}`, BROKEN, "end"],
  "103 with a coding": [`HTTP/1.1 103 Early Hints\r\n${TE}\r\n\r\n${CHUNKED}`, BROKEN, "end"],
  "101 unasked": [
    ok(["Connection: Upgrade", "Upgrade: websocket"], STRAY, "HTTP/1.1 101 Switching Protocols"),
    REFUSED,
  ],
  "101 to h2c unasked": [
    ok(["Connection: Upgrade", "Upgrade: h2c"], "\0\0\0\x04\0\0\0\0\0", "HTTP/1.1 101 Go"),
    REFUSED,
  ],
  "101 without Upgrade": [ok([], STRAY, "HTTP/1.1 101 Switching Protocols"), REFUSED],
  "100 with a NUL": [`HTTP/1.1 100 Conti\0nue\r\n\r\n${ok([CL], BODY)}`, REFUSED],
});

const BODYLESS: readonly HostileAnswer[] = [
  ...table({
    "204 with a body": [ok([CL], BODY, "HTTP/1.1 204 No Content"), [{ status: 204, body: "" }, "502"]],
    "204 with chunks": [ok([TE], CHUNKED, "HTTP/1.1 204 No Content"), [{ status: 204, body: "" }, "502"]],
    "204 and a stray answer": [ok([], STRAY, "HTTP/1.1 204 No Content"), [{ status: 204, body: "" }]],
    "304 with a body": [ok([CL], BODY, "HTTP/1.1 304 Not Modified"), [{ status: 304, body: "" }, "502"]],
    "304 with chunks": [ok([TE], CHUNKED, "HTTP/1.1 304 Not Modified"), [{ status: 304, body: "" }, "502"]],
    "205 with a body": [
      ok([CL], BODY, "HTTP/1.1 205 Reset Content"),
      [{ status: 205, body: BODY }, { status: 205, body: "" }, "502"],
    ],
  }),
  ...table(
    {
      "with a body": [ok([CL], BODY), [{ status: 200, body: "" }]],
      "with chunks": [ok([TE], CHUNKED), [{ status: 200, body: "" }]],
      "and a stray answer": [ok([CL], STRAY), [{ status: 200, body: "" }]],
      "a length of nothing": [ok(["Content-Length: 1000"]), [{ status: 200, body: "" }]],
      "no length, and goes on": [ok([], BODY), [{ status: 200, body: "" }]],
    },
    "HEAD",
  ),
];

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const SHAKE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", `Sec-WebSocket-Key: ${KEY}`];
const switched = (...fields: readonly string[]) => ok(fields, STRAY, "HTTP/1.1 101 Switching Protocols");
const UP = ["Connection: Upgrade", "Upgrade: websocket"] as const;

const SHAKES: readonly HostileAnswer[] = table(
  {
    "a wrong Accept": [switched(...UP, "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), REFUSED],
    "no Accept": [switched(...UP), REFUSED],
    "the Accept twice": [
      switched(...UP, `Sec-WebSocket-Accept: ${ACCEPT}`, `Sec-WebSocket-Accept: ${ACCEPT}`),
      REFUSED,
    ],
    "no Upgrade": [switched("Connection: Upgrade", `Sec-WebSocket-Accept: ${ACCEPT}`), REFUSED],
    "no Connection": [switched("Upgrade: websocket", `Sec-WebSocket-Accept: ${ACCEPT}`), REFUSED],
    "Upgrade: h2c": [switched("Connection: Upgrade", "Upgrade: h2c", `Sec-WebSocket-Accept: ${ACCEPT}`), REFUSED],
    "a length": [switched(...UP, `Sec-WebSocket-Accept: ${ACCEPT}`, CL), [{ status: 101 }, "502"]],
    "200 in place of 101": [ok([CL], BODY), [GOOD]],
    "200 and a stray answer": [ok([CL], BODY + STRAY), [GOOD]],
    "426": [ok([CL], BODY, "HTTP/1.1 426 Upgrade Required"), [{ status: 426, body: BODY }]],
    "102, then a wrong 101": [`HTTP/1.1 102 Processing\r\n\r\n${switched(...UP)}`, REFUSED],
  },
  "GET",
  SHAKE,
).map((one) => ({ ...one, name: `WebSocket: ${one.name}` }));

/** All of them. */
export const HOSTILE_ANSWERS: readonly HostileAnswer[] = [
  ...FRAMING,
  ...ENDS,
  ...CHUNKS,
  ...HEADS,
  ...INFORMATIONAL,
  ...BODYLESS,
  ...SHAKES,
];
