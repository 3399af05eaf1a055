// What tests say in DNS: messages by dns-packet, which shares no line with what is tested, and bytes that are none.
import type { Packet } from "dns-packet";
import { encode } from "dns-packet";
import fc from "fast-check";
import { nameOf } from "../src/message/name.ts";
import type { Question } from "../src/message/response.ts";

const RECURSION_DESIRED = 0x0100;

/** A query for one name, with EDNS if asked for. */
export function query(name: string, type: string, options: { edns?: boolean; id?: number } = {}): Buffer {
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize: 1232,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return encode({
    type: "query",
    id: options.id ?? 7,
    flags: RECURSION_DESIRED,
    questions: [{ name, type }],
    additionals: options.edns === true ? [opt] : [],
  } as Packet);
}

export function question(name: string, type: number): Question {
  return { name: nameOf(name.split(".")), type };
}

/** Labels of ordinary names. */
export const labels: fc.Arbitrary<string[]> = fc.array(fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/), {
  minLength: 1,
  maxLength: 6,
});

/** Bytes close to a valid message: some overwritten, some cut off, some added. */
export function mangled(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(fc.tuple(fc.nat(1500), fc.nat(255)), { maxLength: 4 });
  const cut = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(40));
  const more = fc.oneof({ weight: 4, arbitrary: fc.constant(new Uint8Array()) }, fc.uint8Array({ maxLength: 12 }));
  return fc.tuple(valid, edits, cut, more).map(([bytes, changes, lost, added]) => {
    const kept = Buffer.from(bytes.subarray(0, Math.max(0, bytes.length - lost)));
    for (const [at, value] of changes) if (kept.length > 0) kept[at % kept.length] = value;
    return Buffer.concat([kept, added]);
  });
}
