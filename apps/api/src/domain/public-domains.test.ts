// Which names may be public beside each other (law 25).
import { describe, expect, it } from "vitest";
import { domainProblems } from "./public-domains.ts";

describe("public names", () => {
  it.each([
    ["localhost", "localhost", "127.0.0.2"],
    ["localhost", "localhost", "::2"],
    ["localhost", "tunnels.example.net", "127.0.0.2"],
    ["connect.localhost", "tunnels.localhost", "127.0.0.2"],
    ["connect.example.com", "tunnels.example.net", "raw.example.org"],
    ["connect.example.com", "tunnels.example.net", "198.51.100.7"],
    ["connect.example.com", "tunnels.example.net", "notconnect.example.com"],
    ["example.com", "notexample.com", "198.51.100.7"],
  ])("may be %s, %s and %s", (connect, tunnels, rawHost) => {
    expect(domainProblems({ connect, tunnels, rawHost })).toEqual([]);
  });

  it.each([
    ["example.com", "example.com"],
    ["example.com", "t.example.com"],
    ["c.example.com", "example.com"],
    ["localhost", "t.localhost"],
    ["c.localhost", "localhost"],
    ["c.localhost", "c.localhost"],
  ])("may not be %s for connect tokens and %s for tunnels", (connect, tunnels) => {
    expect(domainProblems({ connect, tunnels, rawHost: "198.51.100.7" })).toEqual([
      expect.stringMatching(/^SALLYPORT_TUNNEL_DOMAIN: /),
    ]);
  });

  it.each([
    ["connect.example.com", "tunnels.example.net", "connect.example.com"],
    ["connect.example.com", "tunnels.example.net", "raw.tunnels.example.net"],
    ["connect.example.com", "tunnels.example.net", "example.com"],
    ["connect.example.com", "tunnels.example.net", "net"],
    ["localhost", "localhost", "localhost"],
    ["localhost", "localhost", "raw.localhost"],
    ["localhost", "localhost", "127.0.0.1"],
    ["localhost", "tunnels.example.net", "::1"],
    ["connect.example.com", "localhost", "0.0.0.0"],
    ["connect.localhost", "tunnels.localhost", "127.0.0.1"],
    ["localhost", "localhost", "::"],
    ["localhost", "localhost", "::ffff:7f00:1"],
  ])("may not be %s and %s with raw ports at %s", (connect, tunnels, rawHost) => {
    expect(domainProblems({ connect, tunnels, rawHost })).toEqual([
      expect.stringMatching(/^SALLYPORT_TUNNEL_RAW_HOST: /),
    ]);
  });
});
