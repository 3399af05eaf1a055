// Answers from outside: what of them is kept, what is an error, and that no bytes whatever get an odd record through.
import type { Packet, Answer as PacketAnswer } from "dns-packet";
import { decode, encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { labels, mangled, question } from "../../test/messages.ts";
import { encodeAnswer, encodeQuery } from "./encode.ts";
import { labelsOf, nameOf, sameName } from "./name.ts";
import { isPassedType } from "./records.ts";
import { answers, parseResponse, type Response } from "./response.ts";
import { MessageError, TYPE } from "./wire.ts";

const ASKED = question("host.example", TYPE.A);

function response(records: readonly object[], more: object = {}): Buffer {
  return encode({
    type: "response",
    id: 9,
    questions: [{ name: "host.example", type: "A" }],
    answers: records as PacketAnswer[],
    ...more,
  } as Packet);
}

const A = (name: string, data: string, ttl = 60) => ({ type: "A", name, data, ttl });
const CNAME = (name: string, data: string) => ({ type: "CNAME", name, data, ttl: 60 });
const SOA = (name: string) => ({
  type: "SOA",
  name,
  ttl: 90,
  data: { mname: "ns.example", rname: "admin.example", minimum: 30 },
});

/** As dns-packet reads what a sandbox would be sent. */
function passedOn(parsed: Response): readonly { name: string; type: string; data: unknown }[] {
  const head = { id: 1, flags: 0, question: new Uint8Array([...ASKED.name, 0, TYPE.A, 0, 1]) };
  const { records, authority } = parsed;
  const message = encodeAnswer(head, { rcode: 0, records, authority, extended: undefined }, "tcp");
  const packet = decode(message);
  return [...(packet.answers ?? []), ...(packet.authorities ?? [])].map((one) => {
    if (!("data" in one)) throw new Error("a record without data");
    return { name: one.name, type: one.type, data: one.data };
  });
}

describe("answers", () => {
  it("takes its own id and question, in any case of letters", () => {
    expect(answers(response([]), 9, ASKED)).toBe(true);
    expect(answers(response([]), 9, question("HOST.example", TYPE.A))).toBe(true);
  });

  it.each([
    ["another id", response([]), 10, ASKED],
    ["another name", response([]), 9, question("host.examples", TYPE.A)],
    ["another type", response([]), 9, question("host.example", TYPE.AAAA)],
    ["no question", response([], { questions: [] }), 9, ASKED],
    ["a query", encodeQuery(9, ASKED, false), 9, ASKED],
    ["too few bytes", response([]).subarray(0, 11), 9, ASKED],
  ])("does not take %s", (_, message, id, asked) => {
    expect(answers(message, id, asked)).toBe(false);
  });
});

describe("parseResponse", () => {
  it("keeps aliases in their order and the addresses at their end", () => {
    const message = response([
      A("b.example", "198.51.100.2"),
      CNAME("a.example", "B.example"),
      CNAME("host.example", "a.example"),
    ]);
    expect(passedOn(parseResponse(message, ASKED))).toEqual([
      { name: "host.example", type: "CNAME", data: "a.example" },
      { name: "a.example", type: "CNAME", data: "B.example" },
      { name: "b.example", type: "A", data: "198.51.100.2" },
    ]);
  });

  it("drops what was not asked for", () => {
    const message = response(
      [A("other.example", "198.51.100.9"), A("host.example", "198.51.100.1"), CNAME("x.example", "y.example")],
      {
        authorities: [{ type: "NS", name: "example", data: "ns.example", ttl: 5 }],
        additionals: [A("ns.example", "198.51.100.53")],
      },
    );
    expect(passedOn(parseResponse(message, ASKED))).toEqual([
      { name: "host.example", type: "A", data: "198.51.100.1" },
    ]);
  });

  it("keeps the zone's SOA beside an answer that there is none, and no other's", () => {
    const soa = { name: "example", type: "SOA", data: { mname: "ns.example", minimum: 30 } };
    expect(passedOn(parseResponse(response([], { authorities: [SOA("example")] }), ASKED))).toMatchObject([soa]);
    const parsed = parseResponse(response([], { authorities: [SOA("elsewhere")] }), ASKED);
    expect(parsed).toMatchObject({ negative: true, authority: undefined });
  });

  it("reads nothing of a message that is cut off", () => {
    const message = response([A("host.example", "198.51.100.1")], { flags: 0x0200 });
    expect(parseResponse(message.subarray(0, 40), ASKED)).toMatchObject({ truncated: true, records: [] });
  });

  it("leaves out types that are not passed on, other classes, and times that cannot be", () => {
    const message = response([
      { type: "HINFO", name: "host.example", data: { cpu: "x", os: "y" } },
      { ...A("host.example", "198.51.100.3"), class: "CH" },
      A("host.example", "198.51.100.1", 0x8000_0000),
    ]);
    const { records } = parseResponse(message, ASKED);
    expect(records).toMatchObject([{ type: TYPE.A, ttl: 0 }]);
  });

  it.each([
    ["an address of three bytes", 4, 3],
    ["an address of five bytes", 4, 5],
  ])("refuses %s", (_, from, to) => {
    const message = response([A("host.example", "198.51.100.1")]);
    const at = message.length - from - 2;
    message.writeUInt16BE(to, at);
    const bytes = to > from ? Buffer.concat([message, Buffer.alloc(to - from)]) : message.subarray(0, to - from);
    expect(() => parseResponse(bytes, ASKED)).toThrow(MessageError);
  });

  it("follows the longest chain, whatever the order, the case and the number of records", () => {
    const name = (at: number) => (at === 0 ? "host.example" : `alias${at}.example`);
    const aliases = Array.from({ length: 16 }, (_, at) => CNAME(name(at).toUpperCase(), name(at + 1)));
    const addresses = Array.from({ length: 240 }, (_, at) => A(name(16), `198.51.100.${at}`));
    const parsed = parseResponse(response([...addresses, ...aliases.toReversed()]), ASKED);
    expect(passedOn(parsed).map(({ type, data }) => `${type} ${String(data)}`)).toEqual(
      [...aliases, ...addresses].map(({ type, data }) => `${type} ${data}`),
    );
  });

  it("refuses more records than anybody needs", () => {
    const addresses = Array.from({ length: 257 }, (_, at) =>
      A("host.example", `198.51.${100 + (at >> 8)}.${at & 255}`),
    );
    expect(() => parseResponse(response(addresses), ASKED)).toThrow("more records");
  });

  it("refuses loops of aliases and of pointers", () => {
    const loop = response([CNAME("host.example", "a.example"), CNAME("a.example", "host.example")]);
    expect(() => parseResponse(loop, ASKED)).toThrow(MessageError);
    const pointer = response([A("host.example", "198.51.100.1")]);
    const at = 12 + ASKED.name.length + 4;
    pointer.writeUInt16BE(0xc000 | at, at);
    expect(() => parseResponse(pointer, ASKED)).toThrow("does not lead back");
  });

  it("passes every type of the table on as it came", () => {
    const records = [
      { type: "NS", data: "ns.example" },
      { type: "PTR", data: "host.example" },
      { type: "MX", data: { preference: 10, exchange: "mail.example" } },
      { type: "TXT", data: [Buffer.from("one"), Buffer.from("two")] },
      { type: "AAAA", data: "2001:db8::1" },
      { type: "SRV", data: { priority: 1, weight: 2, port: 443, target: "host.example" } },
      {
        type: "NAPTR",
        data: { order: 1, preference: 2, flags: "s", services: "SIP+D2U", regexp: "", replacement: "x.example" },
      },
      { type: "SSHFP", data: { algorithm: 4, hash: 1, fingerprint: "AA".repeat(20) } },
      { type: "TLSA", data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 7) } },
      { type: "CAA", data: { flags: 0, tag: "issue", value: "ca.example", issuerCritical: false } },
    ];
    for (const record of records) {
      const type = TYPE[record.type as keyof typeof TYPE];
      const message = response([{ ...record, name: "host.example", ttl: 60 }], {
        questions: [{ name: "host.example", type: record.type }],
      });
      expect(passedOn(parseResponse(message, question("host.example", type)))).toEqual([
        { name: "host.example", ...record },
      ]);
    }
  });
});

describe("any bytes", () => {
  const name = labels.map((parts) => parts.join("."));
  const record = fc.oneof(
    fc.tuple(name, fc.ipV4()).map(([owner, data]) => A(owner, data)),
    fc.tuple(name, name).map(([owner, data]) => CNAME(owner, data)),
    fc.constantFrom(A("host.example", "198.51.100.1"), CNAME("host.example", "a.example"), SOA("example")),
  );
  const valid = fc.array(record, { maxLength: 6 }).map((records) => new Uint8Array(response(records)));

  it("are an error, or records of the chain that was asked for, each of the size of its type", () => {
    let parsed = 0;
    fc.assert(
      fc.property(fc.oneof(mangled(valid), valid), (bytes) => {
        if (!answers(bytes, 9, ASKED)) return;
        let found: Response;
        try {
          found = parseResponse(bytes, ASKED);
        } catch (error) {
          expect(error).toBeInstanceOf(MessageError);
          return;
        }
        parsed += 1;
        let owner = ASKED.name;
        for (const one of found.records) {
          expect(sameName(one.owner, owner)).toBe(true);
          expect(isPassedType(one.type)).toBe(true);
          if (one.type === TYPE.CNAME) owner = one.data;
          else expect([one.type, one.data.length]).toEqual([TYPE.A, 4]);
        }
        passedOn(found);
      }),
      { numRuns: 10_000 },
    );
    expect(parsed).toBeGreaterThan(1_000);
  });
});

describe("encodeAnswer", () => {
  const head = { id: 1, flags: 0x0100, question: new Uint8Array([...ASKED.name, 0, TYPE.A, 0, 1]) };
  const records = Array.from({ length: 60 }, (_, index) => ({
    owner: nameOf(["HOST", "example"]),
    type: TYPE.A,
    ttl: 60,
    data: Uint8Array.of(198, 51, 100, index),
  }));
  const answer = { rcode: 0, records, authority: undefined, extended: undefined } as const;

  it("points to the question's name", () => {
    expect(encodeAnswer(head, answer, "tcp")).toHaveLength(12 + head.question.length + 60 * 16);
  });

  it("cuts off over UDP what is longer than may come, and says so", () => {
    const plain = encodeAnswer(head, answer, "udp");
    expect(decode(plain)).toMatchObject({ flag_tc: true, answers: [], questions: [{ name: "host.example" }] });
    const edns = decode(encodeAnswer({ ...head, ednsBytes: 4096 }, answer, "udp"));
    expect(edns).toMatchObject({ flag_tc: false, additionals: [{ type: "OPT", udpPayloadSize: 1232 }] });
    expect(edns.answers).toHaveLength(60);
  });

  it("tells an extended error where there is EDNS", () => {
    const refused = { ...answer, records: [], rcode: 5, extended: { code: 15, text: "no" } } as const;
    const [opt] = decode(encodeAnswer({ ...head, ednsBytes: 512 }, refused, "udp")).additionals ?? [];
    expect(opt).toMatchObject({ options: [{ code: 15, data: Buffer.from([0, 15, 0x6e, 0x6f]) }] });
    expect(encodeAnswer(head, refused, "udp")).toHaveLength(12 + head.question.length);
  });

  it("keeps labels apart from dots in them", () => {
    expect(labelsOf(nameOf(["a.b", "c"]))).toEqual(["a.b", "c"]);
    expect(sameName(nameOf(["a.b", "c"]), nameOf(["a", "b", "c"]))).toBe(false);
  });
});
