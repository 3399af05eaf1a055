// How a destination may be written, and what is none.

import { describe, expect, it } from "vitest";
import { failure } from "../test/failure.ts";
import { type Destination, evaluate, formatDestination, parseDestination } from "./index.ts";

describe("parseDestination", () => {
  it.each<[string, Destination, string]>([
    ["198.51.100.7", { address: "198.51.100.7" }, "198.51.100.7"],
    ["198.51.100.7:443", { address: "198.51.100.7", protocol: "tcp", port: 443 }, "tcp://198.51.100.7:443"],
    ["udp://198.51.100.7:53", { address: "198.51.100.7", protocol: "udp", port: 53 }, "udp://198.51.100.7:53"],
    ["tcp://198.51.100.7", { address: "198.51.100.7", protocol: "tcp" }, "tcp://198.51.100.7"],
    ["icmp://198.51.100.7", { address: "198.51.100.7", protocol: "icmp" }, "icmp://198.51.100.7"],
    ["2001:DB8::1", { address: "2001:db8::1" }, "2001:db8::1"],
    ["2001:db8::1:443", { address: "2001:db8::1:443" }, "2001:db8::1:443"],
    ["[2001:db8::1]", { address: "2001:db8::1" }, "2001:db8::1"],
    ["[2001:db8::1]:1", { address: "2001:db8::1", protocol: "tcp", port: 1 }, "tcp://[2001:db8::1]:1"],
    [
      "udp://[2001:db8::1]:65535",
      { address: "2001:db8::1", protocol: "udp", port: 65_535 },
      "udp://[2001:db8::1]:65535",
    ],
    ["udp://[2001:db8::1]", { address: "2001:db8::1", protocol: "udp" }, "udp://[2001:db8::1]"],
    ["icmp://2001:db8::1", { address: "2001:db8::1", protocol: "icmp" }, "icmp://[2001:db8::1]"],
    [
      "[::ffff:198.51.100.7]:80",
      { address: "::ffff:c633:6407", protocol: "tcp", port: 80 },
      "tcp://[::ffff:c633:6407]:80",
    ],
  ])("reads %j", (text, destination, canonical) => {
    expect(parseDestination(text)).toStrictEqual(destination);
    expect(formatDestination(destination)).toBe(canonical);
    expect(parseDestination(canonical)).toStrictEqual(destination);
  });

  it.each([
    "",
    " 198.51.100.7",
    "198.51.100.7 ",
    "198.51.100.7\n",
    "198.51.100.7/32",
    "198.51.100",
    "0306.51.100.7",
    "0xc6336407",
    "3325256711",
    "198.51.100.7:",
    "198.51.100.7:0",
    "198.51.100.7:65536",
    "198.51.100.7:99999",
    "198.51.100.7:080",
    "198.51.100.7:+80",
    "198.51.100.7:80:80",
    "198.51.100.7:http",
    "198.51.100.7:80 ",
    "x[2001:db8::1]:80",
    "[198.51.100.7]:80",
    "[198.51.100.7]",
    "[2001:db8::1",
    "2001:db8::1]",
    "[2001:db8::1]80",
    "[2001:db8::1]:",
    "[2001:db8::1]:0",
    "[[2001:db8::1]]:80",
    "[]",
    "[]:80",
    "::ffff:198.51.100.7:80",
    "fe80::1%eth0",
    "[fe80::1%25eth0]:80",
    "tcp://",
    "tcp://198.51.100.7:80/",
    "tcp://user@198.51.100.7:80",
    "TCP://198.51.100.7:80",
    "http://198.51.100.7",
    "://198.51.100.7",
    "//198.51.100.7",
    "tcp:198.51.100.7",
    "tcp://udp://198.51.100.7",
    "icmp://198.51.100.7:8",
    "icmp://[2001:db8::1]:8",
    "example.com",
    "localhost",
    `tcp://[${"0000:".repeat(7)}0000]:443${"3".repeat(40)}`,
    443,
    null,
    undefined,
    ["198.51.100.7"],
    { address: "198.51.100.7" },
  ])("refuses %j", (text) => {
    expect(failure(() => parseDestination(text)).field).toBe("destination");
    expect(failure(() => parseDestination(text, "to")).message).toMatch(/^to: /);
  });

  it("says what to write instead", () => {
    expect(failure(() => parseDestination("db.example.com:5432")).hint).toContain("look the name up");
    expect(failure(() => parseDestination("http://198.51.100.7")).hint).toContain("tcp://");
    expect(failure(() => parseDestination("198.51.100.7:0")).hint).toContain("udp://[2001:db8::1]:53");
    expect(failure(() => parseDestination("198.51.100.300")).hint).toContain("198.51.100.7");
  });
});

describe("a destination in parts", () => {
  it("is one of TCP where it has a port and no protocol", () => {
    expect(formatDestination({ address: "2001:DB8::1", port: 80 })).toBe("tcp://[2001:db8::1]:80");
    const policy = { allow: [{ cidr: "198.51.100.0/24", protocol: "tcp", ports: [80] }] } as const;
    expect(evaluate(policy, [], { address: "198.51.100.7", port: 80 }).allowed).toBe(true);
    expect(evaluate(policy, [], { address: "198.51.100.7", port: 80, protocol: "udp" }).allowed).toBe(false);
  });

  it.each([
    { address: "198.51.100.7", protocol: "icmp", port: 8 },
    { address: "198.51.100.7", protocol: "sctp" },
    { address: "198.51.100.7", protocol: "tcp", port: 0 },
    { address: "198.51.100.7", protocol: "tcp", port: 65_536 },
    { address: "198.51.100.7", protocol: "tcp", port: 80.5 },
    { address: "198.51.100.7", protocol: "tcp", port: Number.NaN },
    { address: "198.51.100.7", protocol: "tcp", port: "80" },
    { address: "198.51.100.7:80" },
    { address: "[2001:db8::1]" },
    { address: 3_325_256_711 },
    {},
  ])("is refused as %j", (destination) => {
    const error = failure(() => evaluate("open", [], destination as Destination));
    expect(error.field).toBe("destination");
  });
});
