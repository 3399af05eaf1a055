import { describe, expect, it } from "vitest";
import { Admission, groupOf } from "./admission.ts";
import { DEFAULT_EDGE_LIMITS } from "./edge-limits.ts";

const held = (place: Disposable | string): Disposable => {
  if (typeof place === "string") throw new Error(place);
  return place;
};

describe("groupOf", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:198.51.100.7", "198.51.100.7"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ])("counts %s as %s", (address, group) => {
    expect(groupOf(address)).toBe(group);
  });
});

describe("Admission", () => {
  it("counts addresses of one /64 together, and others apart", () => {
    const admission = new Admission({ ...DEFAULT_EDGE_LIMITS, connectionsPerAddress: 1 });
    held(admission.connection("2001:db8::1"));
    expect(admission.connection("2001:db8::2")).toBe("address");
    held(admission.connection("2001:db8:0:1::2"));
    held(admission.connection("198.51.100.1"));
    expect(admission.connection("::ffff:198.51.100.1")).toBe("address");
  });

  it("gives each place back once", () => {
    const admission = new Admission({ ...DEFAULT_EDGE_LIMITS, connectionsPerSandbox: 1 });
    const place = held(admission.toSandbox("sb-1"));
    place[Symbol.dispose]();
    const next = held(admission.toSandbox("sb-1"));
    place[Symbol.dispose]();
    expect(admission.toSandbox("sb-1")).toBe("sandbox");
    next[Symbol.dispose]();
    held(admission.toSandbox("sb-1"));
  });

  it("tells when nobody is left, or that the time is over", async () => {
    const admission = new Admission(DEFAULT_EDGE_LIMITS);
    await admission.empty(60_000);
    const place = held(admission.connection("198.51.100.1"));
    await admission.empty(1);
    expect(admission.open).toBe(1);
    const empty = admission.empty(60_000);
    place[Symbol.dispose]();
    await empty;
    expect(admission.open).toBe(0);
  });
});
