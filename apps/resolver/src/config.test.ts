// Settings: defaults, forms, and all problems at once.
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { parseResolvConf, parseServer, serverText } from "./upstream/servers.ts";

describe("readConfig", () => {
  it("needs the sockets alone", () => {
    const config = readConfig({ SALLYPORT_RESOLVER_SOCKETS: "4,5,6,7" });
    expect(config).toMatchObject({
      sockets: [4, 5, 6, 7],
      upstream: undefined,
      resolvConf: "/etc/resolv.conf",
      limits: { queriesPerSecond: 100, inFlight: 32, tcp: { perClient: 8, idleMs: 10_000 } },
    });
  });

  it("reads resolvers to ask", () => {
    const config = readConfig({
      SALLYPORT_RESOLVER_SOCKETS: "4,5,6,7",
      SALLYPORT_DNS_UPSTREAM: "198.51.100.53, 198.51.100.54:5353,[2001:db8::53]:5353,2001:db8::54",
    });
    expect(config.upstream?.map(serverText)).toEqual([
      "198.51.100.53:53",
      "198.51.100.54:5353",
      "[2001:db8::53]:5353",
      "[2001:db8::54]:53",
    ]);
  });

  it("names every problem", () => {
    const bad = {
      SALLYPORT_RESOLVER_SOCKETS: "4,5,6",
      SALLYPORT_DNS_UPSTREAM: "dns.example",
      SALLYPORT_DNS_BURST: "0",
    };
    expect(() => readConfig(bad)).toThrow(/SALLYPORT_RESOLVER_SOCKETS.*SALLYPORT_DNS_UPSTREAM.*SALLYPORT_DNS_BURST/s);
  });
});

describe("parseServer", () => {
  it.each([
    "",
    "dns.example",
    "198.51.100.53:0",
    "198.51.100.53:65536",
    "[198.51.100.53]:53",
    "198.51.100.53:",
    "2001:db8::53:x",
  ])("refuses %j", (text) => {
    expect(parseServer(text)).toBeUndefined();
  });
});

describe("parseResolvConf", () => {
  it("takes the name servers and nothing else", () => {
    const text =
      "# a comment\nsearch lan\nnameserver 198.51.100.53\n  nameserver\t2001:db8::53  # why\noptions edns0\nnameserver x\n;nameserver 198.51.100.54\n";
    expect(parseResolvConf(text).map(serverText)).toEqual(["198.51.100.53:53", "[2001:db8::53]:53"]);
  });

  it("means this machine where it names none", () => {
    expect(parseResolvConf("search lan\n").map(serverText)).toEqual(["127.0.0.1:53"]);
  });

  it("keeps a scope of a link-local server", () => {
    expect(parseResolvConf("nameserver fe80::1%eth0\n")).toEqual([{ address: "fe80::1%eth0", port: 53 }]);
  });
});
