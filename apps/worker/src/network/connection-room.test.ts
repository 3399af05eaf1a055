import { describe, expect, it } from "vitest";
import { connectionsFor } from "./connection-room.ts";
import { DEFAULT_SLOT_LIMITS } from "./slot-limits.ts";

const MIB = 1024 * 1024;

describe("the table of connections", () => {
  it.each([1, 4, 24, 256].map((gib) => gib * 1024 * MIB))(
    "has room for as many slots as small sandboxes fit into %d bytes, and for the machine's own",
    (memory) => {
      const sandboxes = memory / (128 * MIB);
      expect(connectionsFor(memory)).toBeGreaterThan(2 * sandboxes * DEFAULT_SLOT_LIMITS.connections);
    },
  );
});
