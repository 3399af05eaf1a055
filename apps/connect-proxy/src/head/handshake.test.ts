// The key of a handshake: 16 bytes in their one spelling, and nothing else.
import fc from "fast-check";
import { expect, it } from "vitest";
import { acceptOf, handshakeKey } from "./handshake.ts";

const of = (key: string) => handshakeKey({ upgrades: ["websocket"], versions: ["13"], keys: [key] });

it("is answered as RFC 6455 shows", () => {
  expect(acceptOf("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

it("is any 16 bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const key = Buffer.from(bytes).toString("base64");
      expect(of(key)).toBe(key);
    }),
  );
});

it("is nothing else", () => {
  const letters = fc.constantFrom(..."AQgwB+/=-_ x9\t".split(""));
  fc.assert(
    fc.property(fc.string({ unit: letters, minLength: 20, maxLength: 26 }), (key) => {
      const bytes = Buffer.from(key, "base64");
      const isCanonical = bytes.length === 16 && bytes.toString("base64") === key;
      expect(of(key)).toBe(isCanonical ? key : undefined);
    }),
    { numRuns: 2_000 },
  );
});
