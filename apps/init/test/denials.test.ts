// The parser of logged packets: what it finds in good ones, and that nothing else of any kind harms it.
// SALLYPORT_FUZZ_SEED repeats a run, SALLYPORT_FUZZ_ROUNDS makes it longer.
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { sanitized } from "./build.ts";
import { attribute, type DenialRecord, log, message, recordsOf } from "./denial-records.ts";
import { generator } from "./generator.ts";

const SEED = Number(process.env["SALLYPORT_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["SALLYPORT_FUZZ_ROUNDS"] ?? 20_000);

function parse(inputs: readonly Buffer[]): DenialRecord[] {
  const framed = inputs.flatMap((input) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(input.length);
    return [head, input];
  });
  const { status, stdout, stderr } = spawnSync(sanitized("sallyport-denials-parse"), {
    input: Buffer.concat(framed),
    maxBuffer: 2 ** 28,
    timeout: 60_000,
  });
  expect(stderr.toString()).toBe("");
  expect(status).toBe(0);
  return recordsOf(stdout);
}

const FROM4 = Buffer.from("64400002", "hex");
const TO4 = Buffer.from("c6336407", "hex");
const FROM6 = Buffer.from("fd1200000000000000000000000000aa", "hex");
const TO6 = Buffer.from("20010db8000000000000000000000007", "hex");

function ipv4(protocol: number, payload: Buffer, { options = 0, offset = 0 } = {}): Buffer {
  const head = Buffer.alloc(20 + options * 4);
  head.writeUInt8(0x45 + options);
  head.writeUInt16BE(offset, 6);
  head.writeUInt8(protocol, 9);
  FROM4.copy(head, 12);
  TO4.copy(head, 16);
  return Buffer.concat([head, payload]);
}

function ipv6(next: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(0x60);
  head.writeUInt8(next, 6);
  return Buffer.concat([head, FROM6, TO6, payload]);
}

const ports = Buffer.from([0x13, 0x88, 0x01, 0xbb, 0, 0, 0, 0]);
/** An extension header of so many times eight bytes, before the header of another kind. */
const extension = (next: number, eights = 1): Buffer => {
  const bytes = Buffer.alloc(eights * 8);
  bytes.writeUInt8(next);
  bytes.writeUInt8(eights - 1, 1);
  return bytes;
};
const fragment = (next: number, offset: number): Buffer =>
  Buffer.from([next, 0, offset >> 5, (offset << 3) & 0xff, 0, 0, 0, 1]);

describe("a logged packet", () => {
  const one = (packet: Buffer): Partial<DenialRecord> | undefined => {
    const [found, ...more] = parse([log(7, "policy", packet)]);
    expect(more).toEqual([]);
    if (found === undefined) return undefined;
    const { protocol, port, type } = found;
    return { protocol, port, type };
  };

  it("tells by which interface it came, what denied it, and its addresses", () => {
    expect(parse([log(7, "never", ipv4(6, ports)), log(2 ** 32 - 1, "look-up", ipv6(17, ports))])).toEqual([
      {
        link: "7",
        word: "never",
        family: 4,
        protocol: 6,
        port: 443,
        type: undefined,
        source: FROM4.toString("hex"),
        destination: TO4.toString("hex"),
      },
      {
        link: "4294967295",
        word: "look-up",
        family: 6,
        protocol: 17,
        port: 443,
        type: undefined,
        source: FROM6.toString("hex"),
        destination: TO6.toString("hex"),
      },
    ]);
  });

  it.each<[string, Buffer, Partial<DenialRecord>]>([
    ["IPv4 options", ipv4(6, ports, { options: 10 }), { protocol: 6, port: 443 }],
    ["ICMP", ipv4(1, Buffer.from([8, 0, 0, 0])), { protocol: 1, type: 8 }],
    ["ICMPv6", ipv6(58, Buffer.from([128, 0, 0, 0])), { protocol: 58, type: 128 }],
    ["ICMPv6 in IPv4", ipv4(58, Buffer.from([128, 0, 0, 0])), { protocol: 58 }],
    ["another protocol", ipv4(132, ports), { protocol: 132 }],
    ["a later piece", ipv4(17, ports, { offset: 185 }), { protocol: 17 }],
    ["a first piece", ipv4(17, ports, { offset: 0x2000 }), { protocol: 17, port: 443 }],
    ["no more than its head", ipv4(6, Buffer.alloc(0)), { protocol: 6 }],
    ["half of its ports", ipv4(6, ports.subarray(0, 3)), { protocol: 6 }],
    [
      "IPv6 options",
      ipv6(0, Buffer.concat([extension(60), extension(43, 3), extension(6), ports])),
      { protocol: 6, port: 443 },
    ],
    ["an IPv6 first piece", ipv6(44, Buffer.concat([fragment(17, 0), ports])), { protocol: 17, port: 443 }],
    ["an IPv6 later piece", ipv6(44, Buffer.concat([fragment(17, 100), ports])), { protocol: 17 }],
    [
      "options that go on and on",
      ipv6(0, Buffer.concat([...Array.from({ length: 9 }, () => extension(0)), ports])),
      { protocol: 0 },
    ],
    ["options beyond its end", ipv6(60, extension(6, 200).subarray(0, 16)), { protocol: 6 }],
    ["an option that is cut off", ipv6(60, Buffer.alloc(7)), { protocol: 60 }],
    ["nothing behind IPv6", ipv6(6, Buffer.alloc(0)), { protocol: 6 }],
  ])("is read with %s", (_, packet, expected) => {
    expect(one(packet)).toEqual({ port: undefined, type: undefined, ...expected });
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["another version", Buffer.concat([Buffer.from([0x55]), ipv4(6, ports).subarray(1)])],
    ["an IPv4 head that is cut off", ipv4(6, ports).subarray(0, 19)],
    ["an IPv4 head that is too short", Buffer.concat([Buffer.from([0x44]), ipv4(6, ports).subarray(1)])],
    ["an IPv6 head that is cut off", ipv6(6, ports).subarray(0, 39)],
  ])("of %s is none", (_, packet) => {
    expect(one(packet)).toBeUndefined();
  });

  it("beside anything else is found", () => {
    const good = log(7, "policy", ipv4(6, ports));
    const others = [message([], 3), message([], 0x0401), message([]), message([attribute(9, Buffer.from([0x45]))])];
    expect(parse([Buffer.concat([...others, good, ...others, good])])).toHaveLength(2);
    expect(parse([Buffer.concat([good, good.subarray(0, 40)])])).toHaveLength(1);
    expect(parse([Buffer.alloc(0), Buffer.alloc(16), good])).toHaveLength(1);
  });

  it("has a word of any length", () => {
    const words = parse(["", "x".repeat(24), "y".repeat(127)].map((word) => log(1, word, ipv4(6, ports))));
    expect(words.map(({ word }) => word)).toEqual(["", "x".repeat(24), "y".repeat(24)]);
    const endless = message([attribute(10, Buffer.alloc(200, 0x7a)), attribute(9, ipv4(6, ports))]);
    expect(parse([endless]).map(({ word, link }) => [word, link])).toEqual([["z".repeat(24), "0"]]);
  });
});

it(`survives ${ROUNDS} messages of seed ${SEED}`, { timeout: 120_000 }, () => {
  console.log(`SALLYPORT_FUZZ_SEED=${SEED}`);
  const random = generator(SEED);
  const below = (bound: number): number => Math.floor(random() * bound);
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
  const packets = [
    ipv4(6, ports),
    ipv4(1, ports, { options: 10 }),
    ipv6(0, Buffer.concat([extension(60), extension(43, 3), extension(6), ports])),
    ipv6(44, Buffer.concat([fragment(17, 0), ports])),
  ];
  const inputs = Array.from({ length: ROUNDS }, () => {
    let input = Buffer.concat(
      Array.from({ length: 1 + below(3) }, () => log(below(9), "policy", packets[below(4)] ?? bytes(9))),
    );
    for (let mistakes = below(6); mistakes > 0 && input.length > 0; mistakes -= 1) {
      const at = below(input.length);
      const kind = below(4);
      if (kind < 2) input.writeUInt8(below(256), at);
      else if (kind === 2) input = Buffer.from(input.subarray(0, at));
      else input = Buffer.concat([input.subarray(0, at), bytes(below(20)), input.subarray(at)]);
    }
    return input;
  });
  for (const { family } of parse(inputs)) expect([4, 6]).toContain(family);
});
