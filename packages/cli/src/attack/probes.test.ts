import { describe, expect, it } from "vitest";
import { toAnswer } from "./asker.ts";
import { BOMBS } from "./bombs.ts";
import { ESCAPES } from "./escapes.ts";
import { FLOODS } from "./floods.ts";
import { LOOK_UPS } from "./look-ups.ts";
import { disguised, REACHES } from "./network.ts";

describe("the probes", () => {
  it("have names of their own", () => {
    const names = [...ESCAPES, ...REACHES, ...LOOK_UPS, ...FLOODS, ...BOMBS].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(45);
  });
});

describe("an IPv4 address in disguise", () => {
  it("has its bytes in every form of IPv6 that hides one", () => {
    expect(disguised("169.254.169.254").map(({ address }) => address)).toEqual([
      "::ffff:169.254.169.254",
      "64:ff9b::a9fe:a9fe",
      "64:ff9b:1::a9fe:a9fe",
      "2002:a9fe:a9fe::1",
      "::ffff:0:a9fe:a9fe",
      "2001:0:a9fe:a9fe::1",
    ]);
    expect(disguised("10.0.0.1")[1]?.address).toBe("64:ff9b::0a00:0001");
  });
});

describe("the answer to a question", () => {
  it("is what the resolver said, or why nobody did", () => {
    expect(toAnswer([0, 1, ["198.51.100.7"]])).toEqual({ rcode: 0, answers: 1, addresses: ["198.51.100.7"] });
    expect(toAnswer([3, 0, []])).toEqual({ rcode: 3, answers: 0, addresses: [] });
    expect(toAnswer("ECONNREFUSED")).toBe("ECONNREFUSED");
  });
});
