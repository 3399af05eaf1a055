// Chance that can be had again: the same seed, the same attack.

/** Numbers from 0 to below `below`. Mulberry32: small, and good enough to choose with. */
export type Random = (below: number) => number;

export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What has confused parsers before. */
const SPARKS = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\0",
  " ",
  "\t",
  "\x0b",
  "\x7f",
  "\xff",
  ":",
  ",",
  ";",
  "0",
  "-",
  "_",
  "%",
  "\r\n ",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: chunked",
  "chunked",
  "HTTP/1.1",
  "HTTP/1.0",
  "Connection: close\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Host: x\r\n",
  "0\r\n\r\n",
  "3\r\nabc\r\n",
  "X-Verified-User-Data: sp00fed\r\n",
  "Expect: 100-continue\r\n",
  "GET /smuggled HTTP/1.1\r\n",
];

/** The bytes with one to four small changes. */
export function mutated(bytes: string, random: Random): string {
  let result = bytes;
  for (let left = 1 + random(4); left > 0; left -= 1) {
    const at = random(result.length + 1);
    const length = random(3) === 0 ? random(30) : random(3);
    const part = result.slice(at, at + length);
    const spark = SPARKS[random(SPARKS.length)] ?? "";
    const changed = [
      () => spark + part,
      () => "",
      () => part + part,
      () => String.fromCharCode(random(256)) + part.slice(1),
      () => spark,
      () => part.toUpperCase(),
      () => part.split("").toReversed().join(""),
      () => result.slice(random(result.length), random(result.length)),
    ][random(8)];
    result = result.slice(0, at) + (changed?.() ?? "") + result.slice(at + length);
  }
  return result;
}
