// Queries: what is one, what is refused and how, and that no bytes whatever break the parser.
import { decode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { labels, mangled, query } from "../../test/messages.ts";
import { encodeAnswer } from "./encode.ts";
import { labelsOf, nameOf } from "./name.ts";
import { type ParsedQuery, parseQuery } from "./query.ts";
import { RCODE, TYPE } from "./wire.ts";

function refusalOf(message: Uint8Array): number | undefined {
  const parsed = parseQuery(message);
  return parsed?.kind === "refusal" ? parsed.rcode : undefined;
}

/** A valid query with some bytes changed. */
function changed(changes: Readonly<Record<number, number>>, edns = false): Buffer {
  const message = query("host.example", "A", { edns });
  for (const [at, value] of Object.entries(changes))
    message[Number(at) < 0 ? message.length + Number(at) : Number(at)] = value;
  return message;
}

describe("parseQuery", () => {
  it("reads a plain query", () => {
    const parsed = parseQuery(query("Host.Example", "AAAA", { id: 4711 }));
    expect(parsed).toMatchObject({ kind: "query", query: { id: 4711, type: TYPE.AAAA } });
    if (parsed?.kind !== "query") throw new Error("no query");
    expect(labelsOf(parsed.query.name)).toEqual(["host", "example"]);
    expect(Buffer.from(parsed.query.name).toString("latin1")).toContain("Host");
    expect(parsed.query.ednsBytes).toBeUndefined();
  });

  it("reads EDNS, whatever its options say", () => {
    const subnet = Buffer.from([0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 100]);
    const message = Buffer.concat([changed({ [-1]: subnet.length }, true), subnet]);
    expect(parseQuery(message)).toMatchObject({ kind: "query", query: { ednsBytes: 1232 } });
  });

  it.each([
    ["an empty message", Buffer.alloc(0)],
    ["half a header", Buffer.alloc(11)],
    ["an answer", changed({ 2: 0x81 })],
  ])("answers nothing to %s", (_, message) => {
    expect(parseQuery(message)).toBeUndefined();
  });

  it.each([
    ["another opcode", changed({ 2: 0x11 }), RCODE.notImplemented],
    ["no question", changed({ 5: 0 }), RCODE.formatError],
    ["two questions", changed({ 5: 2 }), RCODE.formatError],
    ["an answer beside the question", changed({ 7: 1 }), RCODE.formatError],
    ["authority beside the question", changed({ 9: 1 }), RCODE.formatError],
    ["two records that follow", changed({ 11: 2 }, true), RCODE.formatError],
    ["a flag of answers: truncated", changed({ 2: 0x03 }), RCODE.formatError],
    ["an error code", changed({ 3: 0x05 }), RCODE.formatError],
    ["the reserved bit", changed({ 3: 0x40 }), RCODE.formatError],
    ["a pointer in the question", changed({ 12: 0xc0, 13: 12 }), RCODE.formatError],
    ["a label of an unknown kind", changed({ 12: 0x41 }), RCODE.formatError],
    ["a label beyond the end", changed({ 17: 63 }), RCODE.formatError],
    ["bytes after the end", Buffer.concat([changed({}), Buffer.of(0)]), RCODE.formatError],
    ["a record that is not EDNS", changed({ [-9]: 1 }, true), RCODE.formatError],
    ["EDNS of another name than the root", changed({ [-11]: 1 }, true), RCODE.formatError],
    ["EDNS beyond the end", changed({ [-1]: 4 }, true), RCODE.formatError],
    ["an option beyond EDNS", Buffer.concat([changed({ [-1]: 4 }, true), Buffer.of(0, 3, 0, 1)]), RCODE.formatError],
    ["an unknown version of EDNS", changed({ [-5]: 1 }, true), RCODE.badVersion],
    ["another class", changed({ [-1]: 3 }), RCODE.refused],
    ["a question that wants only what is cached", changed({ 2: 0 }), RCODE.refused],
  ])("refuses %s", (_, message, rcode) => {
    expect(refusalOf(message)).toBe(rcode);
  });

  it("refuses names that are too long", () => {
    const long = Array.from({ length: 5 }, () => "a".repeat(61));
    const label = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
    const head = changed({}).subarray(0, 12);
    const message = Buffer.concat([head, ...long.map(label), Buffer.of(0, 0, 1, 0, 1)]);
    expect(refusalOf(message)).toBe(RCODE.formatError);
    expect(() => nameOf(long)).toThrow("too long");
  });
});

describe("any bytes", () => {
  const valid = labels.map((parts) => new Uint8Array(query(parts.join("."), "MX", { edns: parts.length % 2 === 0 })));

  it("are a query, a refusal or nothing, and every refusal can be told", () => {
    let queries = 0;
    let refusals = 0;
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), mangled(valid)), (bytes) => {
        const parsed = parseQuery(bytes);
        if (parsed === undefined) return;
        if (parsed.kind === "query") queries += 1;
        else refusals += 1;
        const answer = encodeAnswer(
          headOf(parsed),
          { rcode: 0, records: [], authority: undefined, extended: undefined },
          "udp",
        );
        expect(answer.readUInt16BE(0)).toBe(Buffer.from(bytes).readUInt16BE(0));
        expect(answer.length).toBeLessThanOrEqual(bytes.length + 11);
      }),
      { numRuns: 20_000 },
    );
    // Both ways were taken often, or the bytes were too strange to say anything.
    expect(Math.min(queries, refusals)).toBeGreaterThan(500);
  });

  it("that another reader takes for a query too mean the same to both", () => {
    fc.assert(
      fc.property(mangled(valid), (bytes) => {
        const parsed = parseQuery(bytes);
        if (parsed?.kind !== "query") return;
        const theirs = decode(Buffer.from(bytes)).questions?.[0];
        const ours = labelsOf(parsed.query.name);
        if (!ours.every((label) => /^[a-z0-9_-]+$/.test(label))) return;
        expect(theirs?.name.toLowerCase()).toBe(ours.length === 0 ? "." : ours.join("."));
      }),
      { numRuns: 10_000 },
    );
  });

  it("as labels come through whole, dots and zeros too", () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    fc.assert(
      fc.property(fc.array(label, { maxLength: 5 }), (parts) => {
        const name = nameOf(parts);
        const message = Buffer.concat([changed({}).subarray(0, 12), name, Buffer.of(0, 1, 0, 1)]);
        const parsed = parseQuery(message);
        if (parsed?.kind !== "query") throw new Error("refused");
        expect(Buffer.from(parsed.query.name).equals(name)).toBe(true);
      }),
    );
  });
});

function headOf(parsed: ParsedQuery) {
  return parsed.kind === "query" ? parsed.query : parsed.head;
}
