// Ids of requests: UUIDs of version 4 (RFC 9562, section 5.4), written out many at a time.
import { randomFillSync } from "node:crypto";

const COUNT = 128;
const RANDOM_BYTES = 16;
const CHARACTERS = 36;
const DIGITS = "0123456789abcdef";

const random = Buffer.allocUnsafeSlow(COUNT * RANDOM_BYTES);
const written = Buffer.allocUnsafeSlow(COUNT * CHARACTERS);
const PAIRS: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15),
);
let left = 0;

/** 122 random bits, in one piece of text. */
export function newRequestId(): string {
  if (left === 0) refill();
  left -= 1;
  const from = left * CHARACTERS;
  return written.toString("latin1", from, from + CHARACTERS);
}

function refill(): void {
  randomFillSync(random);
  for (let id = 0; id < COUNT; id += 1) {
    let text = "";
    for (let at = 0; at < RANDOM_BYTES; at += 1) {
      const byte = random[id * RANDOM_BYTES + at] ?? 0;
      if (at === 4 || at === 6 || at === 8 || at === 10) text += "-";
      text += PAIRS[at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte] ?? "";
    }
    written.write(text, id * CHARACTERS, "latin1");
  }
  left = COUNT;
}
