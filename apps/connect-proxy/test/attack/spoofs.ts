// What clients send to be taken for somebody else: none of it reaches the app. Values hold MARK, so that it is found
// wherever it went and whatever became of its name.

/** Stands in each value that must not arrive. */
export const MARK = "sp00fed";
/** The address that no peer has. */
export const FORGED_ADDRESS = "198.51.100.66";
const VALUE = `{"user_id":"${MARK}"}`;

/** Lines of a request's head over HTTP/1.1, beside the request line, Host and the good token. `{T}`: another good token. */
export interface Spoof {
  readonly name: string;
  readonly lines: readonly string[];
  /** Whether the request without the spoof reaches the app; undefined: either, as long as the spoof does not. */
  readonly reaches?: boolean;
  /** Chunked body with these trailers. */
  readonly trailers?: readonly string[];
  /** The request's target; `/` when unset. */
  readonly target?: string;
}

const USER_DATA = "X-Verified-User-Data";
const ASSERTION = "X-Verified-User-Assertion";

function spellings(name: string): Spoof[] {
  const reached: Readonly<Record<string, string>> = {
    plain: `${name}: ${VALUE}`,
    "small letters": `${name.toLowerCase()}: ${VALUE}`,
    capitals: `${name.toUpperCase()}: ${VALUE}`,
    "mixed letters": `${name.replaceAll(/../g, (pair) => pair.charAt(0).toLowerCase() + pair.charAt(1).toUpperCase())}: ${VALUE}`,
    "all _": `${name.replaceAll("-", "_")}: ${VALUE}`,
    "all _, small": `${name.replaceAll("-", "_").toLowerCase()}: ${VALUE}`,
    "all _, capitals": `${name.replaceAll("-", "_").toUpperCase()}: ${VALUE}`,
    "the first _": `${name.replace("-", "_")}: ${VALUE}`,
    "the last _": `${name.replace(/-(?=[^-]*$)/, "_")}: ${VALUE}`,
    "no blank": `${name}:${VALUE}`,
    "a tab": `${name}:\t${VALUE}`,
    "blanks behind": `${name}: ${VALUE} \t `,
    "as CGI names it": `HTTP_${name.replaceAll("-", "_").toUpperCase()}: ${VALUE}`,
    "of high bytes": `${name}: \xff${MARK}\xe4`,
  };
  const refused: Readonly<Record<string, string>> = {
    "a space before the colon": `${name} : ${VALUE}`,
    "a tab before the colon": `${name}\t: ${VALUE}`,
    "a blank in front": ` ${name}: ${VALUE}`,
    "a NUL behind": `${name}\0: ${VALUE}`,
    "a NUL within": `${name.replace("User", "Us\0er")}: ${VALUE}`,
    "a VT behind": `${name}\x0b: ${VALUE}`,
    "a DEL behind": `${name}\x7f: ${VALUE}`,
    "a soft hyphen within": `${name.replace("-", "\xad")}: ${VALUE}`,
    "a high byte within": `${name.replace("Data", "D\xe4ta")}\xff: ${VALUE}`,
    "a blank within": `${name.replace("-", " ")}: ${VALUE}`,
    folded: `${name}:\r\n ${VALUE}`,
    "folded behind another": `X-Other: a\r\n ${name}: ${VALUE}`,
    "behind a bare LF": `X-Other: a\n${name}: ${VALUE}`,
    "behind a bare CR": `X-Other: a\r${name}: ${VALUE}`,
    "behind CR CR LF": `X-Other: a\r\r\n${name}: ${VALUE}`,
    "behind a NUL and LF": `X-Other: a\0\n${name}: ${VALUE}`,
    "a NUL in its value": `${name}: \0${VALUE}`,
    "no colon": `${name} ${VALUE}`,
  };
  return [
    ...Object.entries(reached).map(([how, line]) => ({ name: `${name}, ${how}`, lines: [line], reaches: true })),
    ...Object.entries(refused).map(([how, line]) => ({ name: `${name}, ${how}`, lines: [line], reaches: false })),
    { name: `${name}, twice`, lines: [`${name}: ${VALUE}`, `${name}: ${VALUE}`], reaches: true },
    {
      name: `${name}, in two spellings`,
      lines: [`${name}: ${VALUE}`, `${name.replaceAll("-", "_")}: ${VALUE}`],
      reaches: true,
    },
    { name: `${name}, a hundred times`, lines: Array.from({ length: 60 }, () => `${name}: ${VALUE}`), reaches: true },
    { name: `${name}, named in Connection`, lines: [`Connection: ${name}`, `${name}: ${VALUE}`], reaches: true },
    { name: `${name}, only named in Connection`, lines: [`Connection: keep-alive, ${name}`], reaches: true },
    { name: `${name}, named in Connection with _`, lines: [`Connection: ${name.replaceAll("-", "_")}`], reaches: true },
    { name: `${name}, named in Trailer`, lines: [`Trailer: ${name}`], trailers: [`${name}: ${VALUE}`] },
    { name: `${name}, a trailer`, lines: [], trailers: [`${name}: ${VALUE}`] },
    { name: `${name}, a trailer with _`, lines: [], trailers: [`${name.replaceAll("-", "_")}: ${VALUE}`] },
    { name: `${name}, a trailer in small letters`, lines: [], trailers: [`${name.toLowerCase()}: ${VALUE}`] },
  ];
}

const WITH_TOKEN: readonly Spoof[] = [
  { name: "another bearer beside the token", lines: [`Authorization: Bearer ${MARK}`], reaches: false },
  { name: "Basic beside the token", lines: [`Authorization: Basic ${MARK}`], reaches: false },
  { name: "the token twice", lines: ["Authorization: Bearer {T}"], reaches: false },
  { name: "a token in the query too", lines: [], target: `/?_connect_token=${MARK}&a=1`, reaches: true },
  { name: "the seed's name in the query too", lines: [], target: `/?a=1&_modal_connect_token=${MARK}`, reaches: true },
  { name: "escaped in the query", lines: [], target: `/?%5fconnect%5Ftoken=${MARK}`, reaches: true },
  { name: "escaped letters in the query", lines: [], target: `/?_connect_%74oken=${MARK}`, reaches: true },
  { name: "twice in the query", lines: [], target: `/?_connect_token=${MARK}&_connect_token=${MARK}2`, reaches: true },
  { name: "a good token in the query too", lines: [], target: "/?_connect_token={T}", reaches: true },
  { name: "a token in a cookie too", lines: [`Cookie: a=b; _connect_token=${MARK}; c=d`], reaches: true },
  { name: "the seed's name in a cookie", lines: [`Cookie: _modal_connect_token=${MARK}`], reaches: true },
  { name: "the twin in a cookie", lines: [`Cookie: __Host-_connect_token=${MARK}`], reaches: true },
  { name: "the other twin in a cookie", lines: [`Cookie: __Host-_modal_connect_token="${MARK}"`], reaches: true },
  { name: "cookies without blanks", lines: [`Cookie: a=b;_connect_token=${MARK};c=d`], reaches: true },
  { name: "a cookie with blanks around its name", lines: [`Cookie: a=b;  _connect_token =${MARK}`], reaches: true },
  { name: "cookies in two headers", lines: [`Cookie: a=b`, `Cookie: _connect_token=${MARK}`], reaches: true },
  { name: "COOKIE in capitals", lines: [`COOKIE: _connect_token=${MARK}`], reaches: true },
  { name: "a token in a Referer", lines: [`Referer: https://{H}/?_connect_token=${MARK}&b=1`], reaches: true },
  { name: "a good token in a Referer", lines: ["Referer: https://{H}/?a=1&_modal_connect_token={T}"], reaches: true },
  { name: "an escaped token in a Referer", lines: [`Referer: https://{H}/?%5Fconnect_token=${MARK}`], reaches: true },
  { name: "Authorization with _", lines: ["X_Y: z", `Authorization_: ${MARK}`] },
];

const FORWARDED = [
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "X-Forwarded-Host",
  "X-Forwarded-Port",
  "X-Real-IP",
  "Forwarded",
  "Via",
].flatMap((name): Spoof[] =>
  name === "Via"
    ? []
    : [
        { name, lines: [`${name}: ${FORGED_ADDRESS}`], reaches: true },
        {
          name: `${name} in small letters with _`,
          lines: [`${name.toLowerCase().replaceAll("-", "_")}: ${FORGED_ADDRESS}`],
        },
        { name: `${name} twice`, lines: [`${name}: ${FORGED_ADDRESS}`, `${name}: ${FORGED_ADDRESS}`], reaches: true },
        {
          name: `${name} named in Connection`,
          lines: [`Connection: ${name}`, `${name}: ${FORGED_ADDRESS}`],
          reaches: true,
        },
        { name: `${name} in a trailer`, lines: [], trailers: [`${name}: ${FORGED_ADDRESS}`] },
      ],
);

/** All of them. */
export const SPOOFS: readonly Spoof[] = [
  ...spellings(USER_DATA),
  ...spellings(ASSERTION),
  ...WITH_TOKEN,
  ...FORWARDED,
  { name: "absolute form", lines: [`${USER_DATA}: ${VALUE}`], target: "https://{H}/", reaches: true },
  {
    name: "the proxy's own headers named in Connection",
    lines: [`Connection: ${USER_DATA}, ${ASSERTION}, X-Forwarded-For, X-Request-Id, Host`],
  },
];

/** Header fields of a request over HTTP/2 beside the pseudo-headers and the good token. */
export interface Spoof2 {
  readonly name: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly trailers?: readonly (readonly [name: string, value: string])[];
}

function spellings2(name: string): Spoof2[] {
  const low = name.toLowerCase();
  const one = (how: string, field: string, value = VALUE): Spoof2 => ({
    name: `${name}, ${how}`,
    fields: [[field, value]],
  });
  return [
    one("plain", low),
    one("in capitals", name.toUpperCase()),
    one("in mixed letters", name),
    one("all _", low.replaceAll("-", "_")),
    one("the first _", low.replace("-", "_")),
    one("the last _", low.replace(/-(?=[^-]*$)/, "_")),
    one("a colon in front", `:${low}`),
    one("a colon behind", `${low}:`),
    one("a blank in front", ` ${low}`),
    one("a blank behind", `${low} `),
    one("a NUL behind", `${low}\0`),
    one("a line's end behind", `${low}\r\n`),
    one("as a whole line in a name", `x-other: a\r\n${low}`),
    one("a high byte behind", `${low}\xff`),
    one("a tab behind", `${low}\t`),
    one("as CGI names it", `http_${low.replaceAll("-", "_")}`),
    one("a NUL in its value", low, `\0${VALUE}`),
    one("a line's end in its value", low, `\r\n${VALUE}`),
    one("blanks around its value", low, `  ${VALUE}\t`),
    { name: `${name}, behind a line's end in another value`, fields: [["x-other", `a\r\n${low}: ${VALUE}`]] },
    { name: `${name}, behind a bare LF in another value`, fields: [["x-other", `a\n${low}: ${VALUE}`]] },
    { name: `${name}, behind a bare CR in another value`, fields: [["x-other", `a\r${low}: ${VALUE}`]] },
    {
      name: `${name}, twice`,
      fields: [
        [low, VALUE],
        [low, VALUE],
      ],
    },
    {
      name: `${name}, named in connection`,
      fields: [
        ["connection", low],
        [low, VALUE],
      ],
    },
    { name: `${name}, a trailer`, fields: [], trailers: [[low, VALUE]] },
    { name: `${name}, a trailer with _`, fields: [], trailers: [[low.replaceAll("-", "_"), VALUE]] },
  ];
}

/** Over HTTP/2. */
export const SPOOFS2: readonly Spoof2[] = [
  ...spellings2(USER_DATA),
  ...spellings2(ASSERTION),
  { name: "a token in a cookie", fields: [["cookie", `a=b; _connect_token=${MARK}`]] },
  {
    name: "a token in one of many cookies",
    fields: [
      ["cookie", "a=b"],
      ["cookie", `__Host-_connect_token=${MARK}`],
      ["cookie", "c=d"],
    ],
  },
  { name: "another bearer", fields: [["authorization", `Bearer ${MARK}`]] },
  { name: "a Referer", fields: [["referer", `https://x.localhost/?_connect_token=${MARK}`]] },
  { name: "x-forwarded-for", fields: [["x-forwarded-for", FORGED_ADDRESS]] },
  {
    name: "x-forwarded-for twice, with _",
    fields: [
      ["x_forwarded_for", FORGED_ADDRESS],
      ["x-forwarded-for", FORGED_ADDRESS],
    ],
  },
  { name: "forwarded", fields: [["forwarded", `for=${FORGED_ADDRESS}`]] },
  { name: "x-real-ip", fields: [["x-real-ip", FORGED_ADDRESS]] },
  { name: "x-forwarded-host", fields: [["x-forwarded-host", `${MARK}.example`]] },
  { name: "a second host", fields: [["host", `${MARK}.example`]] },
  { name: "transfer-encoding", fields: [["transfer-encoding", `chunked, ${MARK}`]] },
  { name: "upgrade", fields: [["upgrade", MARK]] },
  { name: "http2-settings", fields: [["http2-settings", MARK]] },
  { name: "keep-alive", fields: [["keep-alive", MARK]] },
  { name: "proxy-connection", fields: [["proxy-connection", MARK]] },
];
