// The static table (RFC 7541, appendix A), and where a field or a name stands in it.
import type { HeaderField } from "./field.ts";

const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Entries by index; the first index is 1. */
export const STATIC_TABLE: readonly (HeaderField | undefined)[] = [
  undefined,
  ...ENTRIES.map(([name, value]) => ({ name, value, sensitive: false })),
];
/** Index of the first entry of the dynamic table. */
export const FIRST_DYNAMIC_INDEX: number = STATIC_TABLE.length;

/** Indices of a name: the first one, and those of its values. */
export interface StaticName {
  readonly index: number;
  readonly values: ReadonlyMap<string, number>;
}

export const STATIC_NAMES: ReadonlyMap<string, StaticName> = new Map(
  [...Map.groupBy(ENTRIES.entries(), ([, [name]]) => name)].map(([name, entries]) => {
    const values = new Map(entries.map(([at, [, value]]) => [value, at + 1]));
    return [name, { index: (entries[0]?.[0] ?? 0) + 1, values }];
  }),
);
