// Requests about whose ends two readers could disagree, as bytes. `reaches` is what an app may take them for, in order.

/** One hostile request, or several on one connection. `{H}`: the sandbox's host with its port; `{A}`: a good token's header. */
export interface Smuggle {
  readonly name: string;
  readonly bytes: string;
  /** Targets of the whole requests that reach the app; of several lists any, where RFC 9112 leaves it to the reader. */
  readonly reaches: readonly (readonly string[])[];
}

const NOTHING: Smuggle["reaches"] = [[]];
/** Well-formed, if odd: one reader forwards it, a stricter one refuses it. */
const MAYBE: Smuggle["reaches"] = [["/a"], []];
const ONE: Smuggle["reaches"] = [["/a"]];

/** Hidden in what may pass for a body. It has a good token: whoever takes it for a request forwards it. */
export const HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n";
const CHUNKED = `5\r\nhello\r\n0\r\n\r\n`;

function post(fields: readonly string[], body: string, line = "POST /a HTTP/1.1"): string {
  return `${[line, "Host: {H}", "{A}", ...fields].join("\r\n")}\r\n\r\n${body}`;
}

function get(fields: readonly string[], rest = ""): string {
  return post(fields, rest, "GET /a HTTP/1.1");
}

/** A request whose head is written out, its host and token included. */
function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function table(cases: Readonly<Record<string, readonly [bytes: string, reaches: Smuggle["reaches"]]>>): Smuggle[] {
  return Object.entries(cases).map(([name, [bytes, reaches]]) => ({ name, bytes, reaches }));
}

/** The same request with each of these values of one header. */
function each(label: string, values: Readonly<Record<string, Smuggle["reaches"]>>, of: (value: string) => string) {
  return Object.entries(values).map(([value, reaches]) => ({
    name: `${label} ${JSON.stringify(value)}`,
    bytes: of(value),
    reaches,
  }));
}

const CL = "Content-Length: 5";
const TE = "Transfer-Encoding: chunked";

const FRAMING: readonly Smuggle[] = table({
  "CL before TE": [post(["Content-Length: 6", TE], `0\r\n\r\n${HIDDEN}`), NOTHING],
  "TE before CL": [post([TE, "Content-Length: 4"], `0\r\n\r\n${HIDDEN}`), NOTHING],
  "CL 0 and TE": [post(["Content-Length: 0", TE], CHUNKED), NOTHING],
  "TE and CL on GET": [get([TE, CL], CHUNKED), NOTHING],
  "TE twice": [post([TE, TE], CHUNKED), NOTHING],
  "TE chunked, then identity": [post([TE, "Transfer-Encoding: identity"], CHUNKED), NOTHING],
  "TE identity, then chunked": [post(["Transfer-Encoding: identity", TE], CHUNKED), NOTHING],
  "TE chunked in HTTP/1.0": [post([TE], CHUNKED, "POST /a HTTP/1.0"), NOTHING],
  "TE named by Connection": [
    post(["Connection: Transfer-Encoding", TE], `${CHUNKED}${HIDDEN}`),
    [["/a", "/smuggled"], []],
  ],
  "CL named by Connection": [post(["Connection: Content-Length", CL], `hello${HIDDEN}`), [["/a", "/smuggled"], []]],
  "Host named by Connection": [get(["Connection: Host"]), MAYBE],
  "CL twice, the same": [post([CL, CL], "hello"), NOTHING],
  "CL twice, in two cases": [post([CL, "content-length: 5"], "hello"), NOTHING],
  "CL twice, different": [post([CL, "Content-Length: 50"], `hello${HIDDEN}`), NOTHING],
  "CL twice, the second folded": [post([CL, "X: y\r\n Content-Length: 50"], "hello"), NOTHING],
  "CL with _": [post(["Content_Length: 5"], `hello`), NOTHING],
  "TE with _": [post(["Transfer_Encoding: chunked"], CHUNKED), NOTHING],
  "CL and TE with _": [post([CL, "Transfer_Encoding: chunked"], "hello"), NOTHING],
  "CL with _ and CL": [post(["Content_Length: 50", CL], "hello"), NOTHING],
  "CL, a space before the colon": [post(["Content-Length : 5"], "hello"), NOTHING],
  "CL, a tab before the colon": [post(["Content-Length\t: 5"], "hello"), NOTHING],
  "TE, a space before the colon": [post(["Transfer-Encoding : chunked"], CHUNKED), NOTHING],
  "TE, a space before the colon, and CL": [post([CL, "Transfer-Encoding : chunked"], "hello"), NOTHING],
  "TE, a VT before the colon": [post([CL, "Transfer-Encoding\x0b: chunked"], "hello"), NOTHING],
  "TE, a NUL in its name": [post([CL, "Transfer-Enc\0oding: chunked"], "hello"), NOTHING],
  "TE, a NUL behind its name": [post([CL, "Transfer-Encoding\0: chunked"], "hello"), NOTHING],
  "TE, a high byte in its name": [post([CL, "Tr\xe4nsfer-Encoding: chunked"], "hello"), NOTHING],
  "TE, a blank in front": [post([CL, " Transfer-Encoding: chunked"], "hello"), NOTHING],
  "TE, a tab in front": [post([CL, "\tTransfer-Encoding: chunked"], "hello"), NOTHING],
  "TE behind a bare LF": [post([CL, "X: y\nTransfer-Encoding: chunked"], "hello"), NOTHING],
  "TE behind a bare CR": [post([CL, "X: y\rTransfer-Encoding: chunked"], "hello"), NOTHING],
  "TE behind LF CR": [post([CL, "X: y\n\rTransfer-Encoding: chunked"], "hello"), NOTHING],
  "TE behind CR CR LF": [post([CL, "X: y\r\r\nTransfer-Encoding: chunked"], "hello"), NOTHING],
  "CL behind a bare LF": [post(["X: y\nContent-Length: 5"], "hello"), NOTHING],
  "TE folded": [post(["Transfer-Encoding:\r\n chunked"], CHUNKED), NOTHING],
  "TE folded in its middle": [post([CL, "Transfer-Encoding: chun\r\n ked"], "hello"), NOTHING],
  "TE folded by a tab": [post([CL, "Transfer-Encoding:\r\n\tchunked"], "hello"), NOTHING],
  "CL folded": [post(["Content-Length:\r\n 5"], "hello"), NOTHING],
  "CL continued": [post(["Content-Length: 5\r\n 0"], "hello"), NOTHING],
  "a fold before the first header": [`GET /a HTTP/1.1\r\n Host: {H}\r\nHost: {H}\r\n{A}\r\n\r\n`, NOTHING],
  "a fold of another header": [get(["X: a\r\n b"]), NOTHING],
  "a fold that is empty": [get(["X: a\r\n "]), NOTHING],
  "CL in capitals": [post(["CONTENT-LENGTH: 5"], "hello"), ONE],
  "CL on GET": [get([CL], "hello"), ONE],
  "CL 0": [post(["Content-Length: 0"], ""), ONE],
  "neither, on POST, and surplus": [post([], HIDDEN), [["/a", "/smuggled"], []]],
  "a body shorter than CL": [post(["Content-Length: 50"], "hello"), NOTHING],
  "CL, and a second request": [post([CL], `hello${HIDDEN}`), [["/a", "/smuggled"]]],
  "CL, and two stray line ends": [post([CL], `hello\r\n\r\n${HIDDEN}`), [["/a", "/smuggled"], ["/a"]]],
  "CL, and garbage": [post([CL], "hello\0\x01\x02 x y z\r\n\r\n"), ONE],
  "TE, and a second request": [post([TE], `${CHUNKED}${HIDDEN}`), [["/a", "/smuggled"]]],
  "TE on GET": [get([TE], CHUNKED), MAYBE],
  "TE on HEAD": [post([TE], CHUNKED, "HEAD /a HTTP/1.1"), MAYBE],
  "Trailer names CL": [post(["Trailer: Content-Length", TE], "5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), MAYBE],
  "TE: trailers, chunked": [post([CL, "TE: chunked"], "hello"), ONE],
});

const LENGTHS = each(
  "CL",
  {
    "": NOTHING,
    "+5": NOTHING,
    "-5": NOTHING,
    "0x5": NOTHING,
    "5 5": NOTHING,
    "5,5": NOTHING,
    "5, 5": NOTHING,
    "5, 6": NOTHING,
    ",5": NOTHING,
    "5,": NOTHING,
    "5.0": NOTHING,
    "5e0": NOTHING,
    "5;": NOTHING,
    "5_0": NOTHING,
    "5\0": NOTHING,
    "\x0b5": NOTHING,
    "\xb2": NOTHING,
    '"5"': NOTHING,
    five: NOTHING,
    "18446744073709551621": NOTHING,
    "4294967301000000000000000": NOTHING,
    "9007199254740993": NOTHING,
    "0 5": NOTHING,
    "5\r": NOTHING,
    "05": MAYBE,
    "0000000005": MAYBE,
    "\t5\t": MAYBE,
    "5 ": MAYBE,
  },
  (value) => post([`Content-Length: ${value}`], "hello"),
);

const CODINGS = each(
  "TE",
  {
    "": NOTHING,
    identity: NOTHING,
    gzip: NOTHING,
    "gzip, chunked": NOTHING,
    "chunked, gzip": NOTHING,
    "chunked, identity": NOTHING,
    "identity, chunked": NOTHING,
    "chunked, chunked": NOTHING,
    "chunked,": NOTHING,
    ",chunked": NOTHING,
    xchunked: NOTHING,
    chunkedx: NOTHING,
    "chunked;q=1": NOTHING,
    '"chunked"': NOTHING,
    "'chunked'": NOTHING,
    "chunked\0": NOTHING,
    "\0chunked": NOTHING,
    "\x0bchunked": NOTHING,
    "\x0cchunked": NOTHING,
    "chunked\x7f": NOTHING,
    "chunk ed": NOTHING,
    "chunked identity": NOTHING,
    "chunked\xa0": NOTHING,
    cow: NOTHING,
    Chunked: MAYBE,
    CHUNKED: MAYBE,
    "\tchunked": MAYBE,
    "chunked ": MAYBE,
    "chunked\t": MAYBE,
  },
  (value) => post([`Transfer-Encoding: ${value}`], `${CHUNKED}`),
);

const SIZES = each(
  "chunk size",
  {
    "5": ONE,
    "05": MAYBE,
    "0000000000000005": MAYBE,
    [`${"0".repeat(64)}5`]: MAYBE,
    [`${"0".repeat(70_000)}5`]: NOTHING,
    "+5": NOTHING,
    "-5": NOTHING,
    "0x5": NOTHING,
    "0X5": NOTHING,
    "5 ": NOTHING,
    " 5": NOTHING,
    "\t5": NOTHING,
    "5\t": NOTHING,
    "5h": NOTHING,
    "5_": NOTHING,
    "5,": NOTHING,
    "5.0": NOTHING,
    "": NOTHING,
    ";": NOTHING,
    ";a": NOTHING,
    "5\0": NOTHING,
    "5\x0b": NOTHING,
    "\x0c5": NOTHING,
    "0x": NOTHING,
    x: NOTHING,
    "5 5": NOTHING,
    "\xb2": NOTHING,
    "10000000000000005": NOTHING,
    "100000005": NOTHING,
    FFFFFFFFFFFFFFFF: NOTHING,
    "80000000": NOTHING,
    "7FFFFFFFFFFFFFFF": NOTHING,
    "20000000000005": NOTHING,
    "5;a": MAYBE,
    "5;a=b": MAYBE,
    '5;a="b;c"': MAYBE,
    "5; a = b": MAYBE,
    "5 ;a": MAYBE,
    "5;": MAYBE,
    "5;\0": NOTHING,
    "5;a\nb": NOTHING,
    "5;a\rb": NOTHING,
    '5;a="\r\n"': NOTHING,
    "5;\n": NOTHING,
    [`5;${"a".repeat(70_000)}`]: NOTHING,
  },
  (size) => post([TE], `${size}\r\nhello\r\n0\r\n\r\n`),
);

const CHUNKS: readonly Smuggle[] = table({
  "a chunk in capitals": [post([TE], "A\r\n0123456789\r\n0\r\n\r\n"), ONE],
  "many chunks of one byte": [post([TE], `${"1\r\nx\r\n".repeat(2_000)}0\r\n\r\n`), ONE],
  "many chunks of one byte, each with an extension": [
    post([TE], `${`1;${"e".repeat(1_000)}\r\nx\r\n`.repeat(200)}0\r\n\r\n`),
    MAYBE,
  ],
  "a chunk line ends by LF": [post([TE], "5\nhello\r\n0\r\n\r\n"), NOTHING],
  "a chunk line ends by CR": [post([TE], "5\rhello\r\n0\r\n\r\n"), NOTHING],
  "a chunk line ends by CR and another byte": [post([TE], "5\rXhello\r\n0\r\n\r\n"), NOTHING],
  "a chunk ends by LF": [post([TE], "5\r\nhello\n0\r\n\r\n"), NOTHING],
  "a chunk ends by CR": [post([TE], "5\r\nhello\r0\r\n\r\n"), NOTHING],
  "a chunk ends by two other bytes": [post([TE], "5\r\nhelloXX0\r\n\r\n"), NOTHING],
  "a chunk ends by nothing": [post([TE], "5\r\nhello0\r\n\r\n"), NOTHING],
  "a chunk is longer than it says": [post([TE], "5\r\nhello!\r\n0\r\n\r\n"), NOTHING],
  "a chunk is shorter than it says": [post([TE], `9\r\nhello\r\n0\r\n\r\n${HIDDEN}`), NOTHING],
  "no last chunk": [post([TE], "5\r\nhello\r\n"), NOTHING],
  "half a last chunk": [post([TE], "5\r\nhello\r\n0\r\n"), NOTHING],
  "last chunk, ends by LF LF": [post([TE], "5\r\nhello\r\n0\n\n"), NOTHING],
  "last chunk, ends by CRLF LF": [post([TE], "5\r\nhello\r\n0\r\n\n"), NOTHING],
  "last chunk, ends by CR CR LF": [post([TE], "5\r\nhello\r\n0\r\r\n"), NOTHING],
  "last chunk of two zeros": [post([TE], "5\r\nhello\r\n00\r\n\r\n"), MAYBE],
  "last chunk is -0": [post([TE], "5\r\nhello\r\n-0\r\n\r\n"), NOTHING],
  "last chunk is 0x0": [post([TE], "5\r\nhello\r\n0x0\r\n\r\n"), NOTHING],
  "last chunk with an extension": [post([TE], "5\r\nhello\r\n0;a=b\r\n\r\n"), MAYBE],
  "last chunk, then a request": [post([TE], `5\r\nhello\r\n0\r\n${HIDDEN}`), NOTHING],
  "an empty chunk in the middle, then more": [post([TE], `0\r\n\r\n5\r\nhello\r\n0\r\n\r\n`), ONE],
  "a trailer": [post([TE], "5\r\nhello\r\n0\r\nX-Sum: y\r\n\r\n"), ONE],
  "trailers that frame": [post([TE], "5\r\nhello\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"), MAYBE],
  "a trailer of another host": [post([TE], "5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n"), MAYBE],
  "a folded trailer": [post([TE], "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"), NOTHING],
  "a trailer without a colon": [post([TE], "5\r\nhello\r\n0\r\nX\r\n\r\n"), NOTHING],
  "a trailer with a NUL": [post([TE], "5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n"), NOTHING],
  "a trailer with a bare LF": [post([TE], "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n"), NOTHING],
  "a trailer, a space before the colon": [post([TE], "5\r\nhello\r\n0\r\nX : a\r\n\r\n"), NOTHING],
  "trailers of a megabyte": [post([TE], `5\r\nhello\r\n0\r\n${"X: yyyyyyyy\r\n".repeat(80_000)}\r\n`), NOTHING],
  "trailers without an end": [post([TE], `5\r\nhello\r\n0\r\nX: ${"y".repeat(100_000)}`), NOTHING],
});

const LINES: readonly Smuggle[] = table({
  "all lines end by LF": [get([]).replaceAll("\r\n", "\n"), NOTHING],
  "all lines end by CR": [get([]).replaceAll("\r\n", "\r"), NOTHING],
  "the request line ends by LF": [get([]).replace("\r\n", "\n"), NOTHING],
  "the head ends by LF": [get([]).replace(/\r\n\r\n$/, "\r\n\n"), NOTHING],
  "the head ends by CR CR LF": [get([]).replace(/\r\n\r\n$/, "\r\r\n"), NOTHING],
  "the head does not end": [get([]).slice(0, -2), NOTHING],
  "an empty line in front": [`\r\n${get([])}`, MAYBE],
  "twenty empty lines in front": [`${"\r\n".repeat(20)}${get([])}`, MAYBE],
  "a bare LF in front": [`\n${get([])}`, NOTHING],
  "a NUL in front": [`\0${get([])}`, NOTHING],
  "a space in front": [` ${get([])}`, NOTHING],
  "two spaces before the target": [get([]).replace("GET /a", "GET  /a"), NOTHING],
  "two spaces before the version": [get([]).replace("/a HTTP", "/a  HTTP"), NOTHING],
  "a space behind the version": [get([]).replace("HTTP/1.1\r\n", "HTTP/1.1 \r\n"), NOTHING],
  "tabs for spaces": [get([]).replace("GET /a HTTP", "GET\t/a\tHTTP"), NOTHING],
  "a VT for a space": [get([]).replace("GET /a", "GET\x0b/a"), NOTHING],
  "HTTP/0.9": ["GET /a\r\n\r\n", NOTHING],
  "HTTP/0.9 with headers": [get([]).replace(" HTTP/1.1", ""), NOTHING],
  "HTTP/1.0": [get([]).replace("HTTP/1.1", "HTTP/1.0"), ONE],
  "HTTP/1.0 that keeps alive, twice": [
    get(["Connection: keep-alive"]).replace("1.1", "1.0") + HIDDEN,
    [["/a", "/smuggled"], ["/a"]],
  ],
  "HTTP/1.0 that closes, and more": [get([]).replace("1.1", "1.0") + HIDDEN, ONE],
  "HTTP/1.2": [get([]).replace("HTTP/1.1", "HTTP/1.2"), NOTHING],
  "HTTP/2.0": [get([]).replace("HTTP/1.1", "HTTP/2.0"), NOTHING],
  "HTTP/3": [get([]).replace("HTTP/1.1", "HTTP/3"), NOTHING],
  "HTTP/1.10": [get([]).replace("HTTP/1.1", "HTTP/1.10"), NOTHING],
  "HTTP/01.1": [get([]).replace("HTTP/1.1", "HTTP/01.1"), NOTHING],
  "HTTP/1,1": [get([]).replace("HTTP/1.1", "HTTP/1,1"), NOTHING],
  "HTTP/ 1.1": [get([]).replace("HTTP/1.1", "HTTP/ 1.1"), NOTHING],
  "http/1.1 in small letters": [get([]).replace("HTTP/1.1", "http/1.1"), NOTHING],
  ICY: [get([]).replace("HTTP/1.1", "ICY/1.1"), NOTHING],
  "the preface of HTTP/2": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", NOTHING],
  "no method": [get([]).replace("GET ", " "), NOTHING],
  "a method of other characters": [get([]).replace("GET", "G(T"), NOTHING],
  "a method with a NUL": [get([]).replace("GET", "GET\0"), NOTHING],
  "a method of a kilobyte": [get([]).replace("GET", "G".repeat(1_024)), NOTHING],
  CONNECT: [get([]).replace("GET /a", "CONNECT {H}"), NOTHING],
  "CONNECT with a path": [get([]).replace("GET", "CONNECT"), NOTHING],
  "a target without a slash": [get([]).replace("/a", "a"), NOTHING],
  "a target of one *": [get([]).replace("/a", "*"), NOTHING],
  "no target": [get([]).replace("/a ", ""), NOTHING],
  "a target with a space": [get([]).replace("/a", "/a b"), NOTHING],
  "a target with a second version": [get([]).replace("/a", "/a HTTP/1.1"), NOTHING],
  "a target with a NUL": [get([]).replace("/a", "/a\0b"), NOTHING],
  "a target with a bare CR": [get([]).replace("/a", "/a\rb"), NOTHING],
  "a target with a fragment": [get([]).replace("/a", "/a#b"), NOTHING],
  "a target with DEL": [get([]).replace("/a", "/a\x7f"), NOTHING],
  "a target with high bytes": [get([]).replace("/a", "/a\xff"), NOTHING],
  "a target of a megabyte": [get([]).replace("/a", `/${"a".repeat(1_000_000)}`), NOTHING],
});

const HOSTS: readonly Smuggle[] = table({
  "no Host": [head("GET /a HTTP/1.1", "{A}"), NOTHING],
  "no Host in HTTP/1.0": [head("GET /a HTTP/1.0", "{A}"), MAYBE],
  "an empty Host": [head("GET /a HTTP/1.1", "Host:", "{A}"), NOTHING],
  "two Hosts": [head("GET /a HTTP/1.1", "Host: {H}", "Host: evil.example", "{A}"), NOTHING],
  "two Hosts, the same": [head("GET /a HTTP/1.1", "Host: {H}", "Host: {H}", "{A}"), NOTHING],
  "a list of Hosts": [head("GET /a HTTP/1.1", "Host: {H}, evil.example", "{A}"), NOTHING],
  "Host, a space before the colon": [head("GET /a HTTP/1.1", "Host : {H}", "{A}"), NOTHING],
  "another Host than the handshake's": [head("GET /a HTTP/1.1", "Host: {O}", "{A}"), NOTHING],
  "a Host of nobody": [head("GET /a HTTP/1.1", "Host: evil.example", "{A}"), NOTHING],
  "a Host with a user": [head("GET /a HTTP/1.1", "Host: x@{H}", "{A}"), NOTHING],
  "a Host with a path": [head("GET /a HTTP/1.1", "Host: {H}/x", "{A}"), NOTHING],
  "a Host with a NUL": [head("GET /a HTTP/1.1", "Host: {H}\0", "{A}"), NOTHING],
  "a Host with a line's end": [head("GET /a HTTP/1.1", "Host: {H}\nX: y", "{A}"), NOTHING],
  "a Host of letters for a port": [head("GET /a HTTP/1.1", "Host: {N}:http", "{A}"), NOTHING],
  "a Host with a label more": [head("GET /a HTTP/1.1", "Host: x.{H}", "{A}"), NOTHING],
  "a folded Host": [head("GET /a HTTP/1.1", "Host:\r\n {H}", "{A}"), NOTHING],
  "Host in capitals": [head("GET /a HTTP/1.1", "HOST: {H}", "{A}"), ONE],
  "absolute form of the same host": [head("GET https://{H}/a HTTP/1.1", "Host: {H}", "{A}"), ONE],
  "absolute form of another host": [head("GET https://{O}/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "absolute form, Host of another": [head("GET https://{H}/a HTTP/1.1", "Host: {O}", "{A}"), NOTHING],
  "absolute form of nobody's host": [head("GET http://evil.example/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "absolute form with a user": [head("GET https://x@{H}/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "absolute form of no scheme": [head("GET ://{H}/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "absolute form of another scheme": [head("GET ftp://{H}/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "absolute form, a backslash": [head("GET https://{H}\\@evil.example/a HTTP/1.1", "Host: {H}", "{A}"), NOTHING],
  "two slashes in front": [head("GET //evil.example/a HTTP/1.1", "Host: {H}", "{A}"), [["//evil.example/a"]]],
});

const FIELDS: readonly Smuggle[] = table({
  "an empty name": [get([": x"]), NOTHING],
  "a line without a colon": [get(["Nothing"]), NOTHING],
  "a space in a name": [get(["X Y: z"]), NOTHING],
  "a bracket in a name": [get(["X(: z"]), NOTHING],
  "a DEL in a name": [get(["X\x7f: z"]), NOTHING],
  "a NUL in a value": [get(["X: a\0b"]), NOTHING],
  "a VT in a value": [get(["X: a\x0bb"]), NOTHING],
  "a DEL in a value": [get(["X: a\x7fb"]), NOTHING],
  "a bare CR in a value": [get(["X: a\rb"]), NOTHING],
  "a bare CR at a value's end": [get(["X: a\r"]), NOTHING],
  "a request in a value, by bare CRs": [get([`X: ${HIDDEN.trimEnd().replaceAll("\r\n", "\r")}`]), NOTHING],
  "a request in a value, by bare LFs": [get([`X: a\n\n${HIDDEN.trimEnd().replaceAll("\r\n", "\n")}`]), NOTHING],
  "high bytes in a value": [get(["X: \xe4\xf6\xfc\xff"]), ONE],
  "an empty value": [get(["X:"]), ONE],
  "a value of tabs": [get(["X: \t \t"]), ONE],
  "ten thousand headers": [get(Array.from({ length: 10_000 }, (_, index) => `X-${index}: y`)), NOTHING],
  "a header of a megabyte": [get([`X: ${"y".repeat(1_000_000)}`]), NOTHING],
  "a name of a megabyte": [get([`${"X".repeat(1_000_000)}: y`]), NOTHING],
});

const UPGRADES: readonly Smuggle[] = table({
  h2c: [get(["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]), ONE],
  "h2c without Connection": [get(["Upgrade: h2c"]), ONE],
  "h2c, and the preface at once": [
    get(
      ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"],
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    ONE,
  ],
  "HTTP2-Settings alone": [get(["HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]), ONE],
  "a WebSocket without a key": [
    get(["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"], HIDDEN),
    [["/a", "/smuggled"], ["/a"], []],
  ],
  "a WebSocket with a short key": [
    get(["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"], HIDDEN),
    [["/a", "/smuggled"], ["/a"], []],
  ],
  "a WebSocket of version 12": [
    get(
      [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 12",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ],
      HIDDEN,
    ),
    [["/a", "/smuggled"], ["/a"], []],
  ],
  "a WebSocket by POST": [
    post(
      [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Content-Length: 0",
      ],
      HIDDEN,
    ),
    [["/a", "/smuggled"], ["/a"], []],
  ],
  "a WebSocket that the app does not take, and a request behind it": [
    get(
      [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ],
      HIDDEN,
    ),
    [["/a", "/smuggled"], ["/a"]],
  ],
  "a WebSocket with a body": [
    get(
      [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        CL,
      ],
      "hello",
    ),
    MAYBE,
  ],
  "Upgrade to something else": [
    get(["Connection: Upgrade", "Upgrade: TLS/1.3, foo"], HIDDEN),
    [["/a", "/smuggled"], ["/a"]],
  ],
  Expect: [post(["Expect: 100-continue", CL], "hello"), ONE],
  "Expect without a body": [get(["Expect: 100-continue"]), MAYBE],
  "Expect of something else": [post(["Expect: 200-ok", CL], "hello"), NOTHING],
  "Expect twice": [post(["Expect: 100-continue", "Expect: 100-continue", CL], "hello"), MAYBE],
  "Expect in HTTP/1.0": [post(["Expect: 100-continue", CL], "hello", "POST /a HTTP/1.0"), MAYBE],
  "Connection: close, and more": [get(["Connection: close"], HIDDEN), ONE],
  "Proxy-Connection": [get(["Proxy-Connection: keep-alive"]), ONE],
});

const GOOD = "GET /{n} HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n";
const many = (count: number) => Array.from({ length: count }, (_, index) => String(index));

const PIPELINES: readonly Smuggle[] = table({
  "three requests": [
    many(3)
      .map((n) => GOOD.replace("{n}", n))
      .join(""),
    [["/0", "/1", "/2"]],
  ],
  "fifty requests": [
    many(50)
      .map((n) => GOOD.replace("{n}", n))
      .join(""),
    [many(50).map((n) => `/${n}`)],
  ],
  "one, and garbage": [`${GOOD.replace("{n}", "0")}\x16\x03\x01garbage\r\n\r\n`, [["/0"]]],
  "one, and half of another": [`${GOOD.replace("{n}", "0")}GET /1 HTTP/1.1\r\nHost: {H}\r\n`, [["/0"]]],
  "one, and one without a token": [`${GOOD.replace("{n}", "0")}GET /1 HTTP/1.1\r\nHost: {H}\r\n\r\n`, [["/0"]]],
  "one, and one for another host": [`${GOOD.replace("{n}", "0")}GET /1 HTTP/1.1\r\nHost: {O}\r\n{A}\r\n\r\n`, [["/0"]]],
  "HEAD, and GET": [`HEAD /0 HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n${GOOD.replace("{n}", "1")}`, [["/0", "/1"]]],
  "bodies of both kinds": [
    `${post([CL], "hello")}${post([TE], CHUNKED)}${GOOD.replace("{n}", "1")}`,
    [["/a", "/a", "/1"]],
  ],
});

/** All of them. */
export const SMUGGLES: readonly Smuggle[] = [
  ...FRAMING,
  ...LENGTHS,
  ...CODINGS,
  ...SIZES,
  ...CHUNKS,
  ...LINES,
  ...HOSTS,
  ...FIELDS,
  ...UPGRADES,
  ...PIPELINES,
];
