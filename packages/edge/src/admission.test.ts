import { describe, expect, it } from "vitest";
import { groupOf } from "./address-group.ts";
import { Admission } from "./admission.ts";
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
  /** What was ended to make room. */
  const make = (limits: Partial<typeof DEFAULT_EDGE_LIMITS>) => {
    const shed: string[] = [];
    const admission = new Admission({ ...DEFAULT_EDGE_LIMITS, ...limits });
    return { admission, shed, tell: (name: string) => () => shed.push(name) };
  };

  it("counts addresses of one /64 together, and others apart", () => {
    const { admission, tell } = make({ connectionsPerAddress: 1 });
    const come = (address: string) => admission.connection(address, tell(address));
    held(come("2001:db8::1"));
    expect(come("2001:db8::2")).toBe("address");
    held(come("2001:db8:0:1::2"));
    held(come("198.51.100.1"));
    expect(come("::ffff:198.51.100.1")).toBe("address");
  });

  it("gives each place back once", () => {
    const { admission, tell } = make({ connectionsPerSandbox: 1 });
    const come = () => admission.toSandbox("sb-1", "198.51.100.1", tell("x"));
    const place = held(come());
    place[Symbol.dispose]();
    const next = held(come());
    place[Symbol.dispose]();
    expect(come()).toBe("sandbox");
    next[Symbol.dispose]();
    held(come());
  });

  it("takes no handshake of all from one address that has them all", () => {
    const { admission, shed, tell } = make({ handshakes: 3 });
    for (const name of ["1", "2", "3"]) held(admission.handshake("198.51.100.1", tell(name)));
    expect(admission.handshake("198.51.100.1", tell("4"))).toBe("handshakes");
    held(admission.handshake("198.51.100.2", tell("5")));
    expect(shed).toEqual(["1"]);
  });

  it("makes room at a sandbox for others than those without a token, and not from those with one", () => {
    const { admission, shed, tell } = make({ connectionsPerSandbox: 3 });
    const come = (address: string) => admission.toSandbox("sb-1", address, tell(address));
    held(come("198.51.100.1"));
    admission.prove("198.51.100.1", "sb-1");
    held(come("198.51.100.9"));
    held(come("198.51.100.9"));
    expect(come("198.51.100.9")).toBe("sandbox");
    held(come("198.51.100.2"));
    held(come("198.51.100.1"));
    expect(shed).toEqual(["198.51.100.9", "198.51.100.9"]);
    // Proof for another sandbox is none for this one.
    admission.prove("198.51.100.2", "sb-2");
    held(come("198.51.100.3"));
    expect(shed).toHaveLength(3);
  });

  it("bounds the operator's own proxies with all others alone, and sheds none of theirs", () => {
    const limits = { ...DEFAULT_EDGE_LIMITS, connections: 5, connectionsPerAddress: 1, connectionsPerSandbox: 2 };
    const admission = new Admission(limits, (address) => address === "10.0.0.1");
    const shed: string[] = [];
    const come = (address: string) => admission.connection(address, () => shed.push(address));
    for (let count = 0; count < 4; count += 1) held(come("10.0.0.1"));
    held(come("198.51.100.1"));
    held(come("198.51.100.2"));
    expect(shed).toEqual(["198.51.100.1"]);
    const toSandbox = (address: string) => admission.toSandbox("sb-1", address, () => shed.push(address));
    held(toSandbox("10.0.0.1"));
    held(toSandbox("10.0.0.1"));
    expect(toSandbox("198.51.100.3")).toBe("sandbox");
  });

  it("tells when nobody is left, or that the time is over", async () => {
    const { admission, tell } = make({});
    await admission.empty(60_000);
    const place = held(admission.connection("198.51.100.1", tell("x")));
    await admission.empty(1);
    expect(admission.open).toBe(1);
    const empty = admission.empty(60_000);
    place[Symbol.dispose]();
    await empty;
    expect(admission.open).toBe(0);
  });
});
