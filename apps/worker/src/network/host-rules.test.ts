// The host's table, and how the chains of others are recognised.

import { describe, expect, it } from "vitest";
import { platformNames, uplinkAddresses } from "./addresses.ts";
import { foreignChains, ourHandles, possibleForeignChains, renderForeignRules, renderHostTable } from "./host-rules.ts";
import { isFree, ownAddressesOf, routesOf } from "./never.ts";

const ID = "01jqz3v5t8k2m4n6p8r0s2v4w6";
const names = platformNames(ID);

describe("renderHostTable", () => {
  const text = renderHostTable({
    names,
    uplink: uplinkAddresses(ID, 0),
    closed: { ipv4: ["wan0", 'x"; drop'], ipv6: [] },
    connections: 131_072,
  });

  it("lets only the router's address out of the uplink and only answers in", () => {
    const chain = (name: string) => {
      const body = new RegExp(`chain ${name} \\{\\n([^}]*)`).exec(text)?.[1] ?? "";
      return body
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
    };
    expect(chain("forward").slice(1, 3)).toEqual([
      'iifname "spur0s2v4w6" goto from_router',
      'oifname "spur0s2v4w6" goto to_router',
    ]);
    expect(chain("from_router")).toEqual([
      "ip saddr 169.254.64.2 goto leaving",
      expect.stringMatching(/^ip6 saddr fd\S+:ffff::2 goto leaving$/),
      "drop",
    ]);
    expect(chain("to_router")).toEqual(["ct state established,related accept", "drop"]);
  });

  it("counts connections in lists that are short enough to be read for each new one", () => {
    expect(text).toContain("add @connections { numgen random mod 1024 ct count over 128 } counter drop");
  });

  it("quotes no interface name that could be read on", () => {
    expect(text).toContain('set closed4 { type ifname; elements = { "wan0" } }');
    expect(text).toContain("set closed6 { type ifname; }");
  });
});

describe("foreign chains", () => {
  const chain = (family: string, name: string, policy?: string): Record<string, unknown> => ({
    chain: { family, table: "filter", name, ...(policy === undefined ? {} : { policy }) },
  });

  it("count only where they drop", () => {
    expect(foreignChains([chain("ip", "FORWARD", "accept"), chain("ip6", "FORWARD", "drop")])).toEqual([
      { family: "ip6", table: "filter", name: "FORWARD" },
    ]);
    expect(foreignChains([chain("inet", "FORWARD", "drop"), { metainfo: {} }])).toEqual([]);
  });

  it("are spoken to in Docker's own place for it", () => {
    const [found] = foreignChains([chain("ip", "FORWARD", "drop"), chain("ip", "DOCKER-USER")]);
    expect(found?.name).toBe("DOCKER-USER");
    const rules = found === undefined ? "" : renderForeignRules(found, names);
    expect(rules).toBe(
      'insert rule ip filter DOCKER-USER iifname "spur0s2v4w6" accept comment "sallyport_r0s2v4w6"\n' +
        'insert rule ip filter DOCKER-USER oifname "spur0s2v4w6" accept comment "sallyport_r0s2v4w6"\n',
    );
  });

  it("are all looked through for what we left", () => {
    expect(
      possibleForeignChains([chain("ip", "FORWARD", "accept"), chain("ip", "DOCKER-USER"), chain("ip", "INPUT")]),
    ).toHaveLength(2);
    const rule = (comment: string, handle: number): Record<string, unknown> => ({ rule: { comment, handle } });
    expect(ourHandles([rule(names.hostTable, 4), rule("other", 5), rule(names.hostTable, 9)], names)).toEqual([4, 9]);
  });
});

describe("the host's own addresses", () => {
  it("are every local destination, merged", () => {
    const json = JSON.stringify([
      { type: "local", dst: "198.51.100.1" },
      { type: "broadcast", dst: "198.51.100.255" },
      {},
      7,
    ]);
    expect(routesOf(json)).toEqual(["198.51.100.1", "198.51.100.255"]);
    expect(routesOf("")).toEqual([]);
    expect(ownAddressesOf(["127.0.0.0/8", "127.0.0.1", "2001:db8::1", "default", "198.51.100.1"])).toEqual([
      "127.0.0.0/8",
      "198.51.100.1/32",
      "2001:db8::1/128",
    ]);
  });
});

describe("isFree", () => {
  it("looks at routes, except those wide enough to be nobody's", () => {
    expect(isFree("169.254.64.0/30", ["default", "169.254.0.0/16", "10.0.0.0/8"])).toBe(true);
    expect(isFree("169.254.64.0/30", ["169.254.64.2"])).toBe(false);
    expect(isFree("169.254.64.0/30", ["169.254.64.0/20"])).toBe(false);
    expect(isFree("169.254.64.4/30", ["169.254.64.0/30"])).toBe(true);
  });
});
