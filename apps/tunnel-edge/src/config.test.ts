import { ConfigError } from "@sallyport/appkit/env";
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const NEEDED = {
  SALLYPORT_TUNNEL_STATE: "/var/lib/edge",
  SALLYPORT_TUNNEL_LISTENERS: "2",
  SALLYPORT_API_EDGE_SOCKET: "/run/api.sock",
  SALLYPORT_GATEWAY_OPEN_SOCKET: "/run/open.sock",
  SALLYPORT_PLATFORM_ID: "01jd00000000000000000000aa",
};

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig({ ...NEEDED, ...env });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

describe("readConfig", () => {
  it("needs no more than where things are", () => {
    const config = readConfig(NEEDED);
    expect(config).toMatchObject({
      tunnelDomain: "localhost",
      connectDomain: "localhost",
      connectSockets: [],
      raw: undefined,
    });
    expect(config.ticketDirectory).toBe("/var/lib/edge/tickets");
    expect(Object.isFrozen(config)).toBe(true);
    expect(config.isTrustedPeer("127.0.0.1")).toBe(false);
  });

  it("leaves some of a gateway's connections to a sandbox for others, however many processes there are", () => {
    for (const processes of [1, 3, 64]) {
      const { edgeLimits } = readConfig({ ...NEEDED, SALLYPORT_TUNNEL_PROCESSES: String(processes) });
      expect(processes * edgeLimits.connectionsPerSandbox, String(processes)).toBeLessThan(448);
    }
  });

  it("reads lists, ranges and limits", () => {
    const config = readConfig({
      ...NEEDED,
      SALLYPORT_TUNNEL_CONNECT_SOCKETS: "/run/1.sock, /run/2.sock",
      SALLYPORT_TUNNEL_RAW_PORTS: "20000-20999",
      SALLYPORT_TUNNEL_RAW_ADDRESS: "127.0.0.3",
      SALLYPORT_TUNNEL_TRUSTED_PROXIES: "10.0.0.0/8",
      SALLYPORT_TUNNEL_IDLE_MS: "0",
    });
    expect(config.connectSockets).toEqual(["/run/1.sock", "/run/2.sock"]);
    expect(config.raw).toEqual({ address: "127.0.0.3", ports: { from: 20_000, to: 20_999 } });
    expect(config.isTrustedPeer("10.1.2.3")).toBe(true);
    expect(config.tunnelLimits.idleMs).toBe(0);
  });

  it("names every problem at once", () => {
    const problems = problemsOf({
      SALLYPORT_TUNNEL_STATE: "relative",
      SALLYPORT_TUNNEL_LISTENERS: "0",
      SALLYPORT_TUNNEL_RAW_PORTS: "9-1",
      SALLYPORT_TUNNEL_RAW_ADDRESS: "0.0.0.0",
      SALLYPORT_TUNNEL_CONNECT_SOCKETS: "here",
      SALLYPORT_TUNNEL_TRUSTED_PROXIES: "10.0.0.0/40",
    });
    expect(new Set(problems.map((problem) => problem.split(":")[0]))).toEqual(
      new Set([
        "SALLYPORT_TUNNEL_CONNECT_SOCKETS",
        "SALLYPORT_TUNNEL_LISTENERS",
        "SALLYPORT_TUNNEL_RAW_ADDRESS",
        "SALLYPORT_TUNNEL_RAW_PORTS",
        "SALLYPORT_TUNNEL_STATE",
        "SALLYPORT_TUNNEL_TRUSTED_PROXIES",
      ]),
    );
    expect(problems.length).toBe(6);
  });

  it("takes a certificate with its key alone", () => {
    expect(problemsOf({ SALLYPORT_TUNNEL_CERT: "/cert.pem" }).length).toBe(1);
    expect(problemsOf({ SALLYPORT_TUNNEL_CERT: "/cert.pem", SALLYPORT_TUNNEL_KEY: "/key.pem" })).toEqual([]);
  });

  it("keeps tunnels and connect hosts from each other's cookies", () => {
    const problems = (tunnel: string, connect: string) =>
      problemsOf({ SALLYPORT_TUNNEL_DOMAIN: tunnel, SALLYPORT_TUNNEL_CONNECT_DOMAIN: connect }).length;
    expect(problems("tunnel.example", "connect.example")).toBe(0);
    expect(problems("example.net", "badexample.net")).toBe(0);
    expect(problems("localhost", "localhost")).toBe(0);
    for (const [one, other] of [
      ["example.net", "example.net"],
      ["a.example.net", "example.net"],
      ["example.net", "a.example.net"],
      ["a.localhost", "localhost"],
    ] as const) {
      expect(problems(one, other), `${one} ${other}`).toBe(1);
    }
  });
});
