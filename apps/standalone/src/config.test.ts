import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

function problemsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "";
}

describe("settings of the edges", () => {
  it("has one port at loopback for everything, one process each, hosts below localhost, raw ports apart", () => {
    const { connect, tunnel } = readConfig({});
    expect(tunnel).toMatchObject({ processes: 1, domain: "localhost", port: 7443, drainMs: 5_000 });
    expect(tunnel.listen[0]).toEqual({ host: "127.0.0.1", port: 7443 });
    expect(tunnel.listen.every(({ host }) => ["127.0.0.1", "::1"].includes(host))).toBe(true);
    expect(tunnel).toMatchObject({
      rawAddress: "127.0.0.2",
      rawHost: "127.0.0.2",
      rawPorts: { from: 20_000, to: 20_999 },
    });
    expect(connect).toMatchObject({ processes: 1, domain: "localhost", port: 7443, drainMs: 5_000, listen: [] });
    expect([connect.certificate, tunnel.certificate]).toEqual([undefined, undefined]);
  });

  it("takes several addresses of one port, which is that of the URLs unless another is named", () => {
    const SALLYPORT_TUNNEL_LISTEN = "127.0.0.1:8443, [::1]:8443";
    const listen = [
      { host: "127.0.0.1", port: 8443 },
      { host: "::1", port: 8443 },
    ];
    const front = readConfig({ SALLYPORT_TUNNEL_LISTEN });
    expect([front.tunnel, front.connect]).toMatchObject([{ listen, port: 8443 }, { port: 8443 }]);
    const behind = readConfig({ SALLYPORT_TUNNEL_LISTEN, SALLYPORT_TUNNEL_PORT: "443" });
    expect([behind.tunnel, behind.connect]).toMatchObject([{ listen, port: 443 }, { port: 443 }]);
    const own = readConfig({ SALLYPORT_TUNNEL_LISTEN, SALLYPORT_CONNECT_LISTEN: "127.0.0.1:9443" });
    expect([own.tunnel.port, own.connect.port]).toEqual([8443, 9443]);
  });

  it("hands on what is an edge's own, and nothing else", () => {
    const { connect, tunnel } = readConfig({
      SALLYPORT_CONNECT_HEADERS: "64",
      SALLYPORT_CONNECT_PREFLIGHT: "refuse",
      SALLYPORT_CONNECT_KEY_DAYS: "7",
      SALLYPORT_CONNECT_PROCESSES: "2",
      SALLYPORT_CONNECT_DOMAIN: "connect.example.com",
      SALLYPORT_CONNECT_CERT: "/etc/chain.pem",
      SALLYPORT_CONNECT_KEY: "/etc/key.pem",
      SALLYPORT_TUNNEL_IDLE_MS: "1000",
      SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: "500",
      SALLYPORT_TUNNEL_RAW_REST_MS: "60000",
      HOME: "/root",
    });
    expect(connect.ownSettings).toEqual({ SALLYPORT_CONNECT_HEADERS: "64", SALLYPORT_CONNECT_PREFLIGHT: "refuse" });
    expect(connect.apiSettings).toEqual({ SALLYPORT_CONNECT_KEY_DAYS: "7" });
    expect(connect.certificate).toEqual({ chain: "/etc/chain.pem", key: "/etc/key.pem" });
    expect(tunnel.apiSettings).toEqual({
      SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: "500",
      SALLYPORT_TUNNEL_RAW_REST_MS: "60000",
    });
    expect(tunnel.ownSettings).toEqual({ SALLYPORT_TUNNEL_IDLE_MS: "1000" });
  });

  it.each([
    ["SALLYPORT_CONNECT_LISTEN", "127.0.0.1:8443,[::1]:8444"],
    ["SALLYPORT_CONNECT_LISTEN", "localhost:8443"],
    ["SALLYPORT_CONNECT_LISTEN", "127.0.0.1:8443,"],
    ["SALLYPORT_CONNECT_LISTEN", "127.0.0.1:7443"],
    ["SALLYPORT_CONNECT_LISTEN", "0.0.0.0:7443"],
    ["SALLYPORT_CONNECT_PROCESSES", "0"],
    ["SALLYPORT_CONNECT_PORT", "65536"],
    ["SALLYPORT_CONNECT_CERT", "/etc/chain.pem"],
    ["SALLYPORT_CONNECT_KEY", "/etc/key.pem"],
    ["SALLYPORT_TUNNEL_LISTEN", "127.0.0.1:8443,[::1]:8444"],
    ["SALLYPORT_TUNNEL_PROCESSES", "33"],
    ["SALLYPORT_TUNNEL_KEY", "/etc/key.pem"],
    ["SALLYPORT_TUNNEL_RAW_ADDRESS", "raw.example.com"],
    ["SALLYPORT_TUNNEL_RAW_ADDRESS", "0.0.0.0"],
    ["SALLYPORT_TUNNEL_RAW_ADDRESS", "127.0.0.1"],
    ["SALLYPORT_TUNNEL_RAW_HOST", "raw.localhost"],
    ["SALLYPORT_TUNNEL_RAW_PORTS", "20000"],
    ["SALLYPORT_TUNNEL_RAW_PORTS", "20001-20000"],
    ["SALLYPORT_TUNNEL_RAW_PORTS", "0-10"],
    ["SALLYPORT_TUNNEL_RAW_PORTS", "65000-65536"],
  ])("refuses %s=%s", (name, value) => {
    expect(problemsOf({ [name]: value })).toContain(name);
  });

  it.each([
    ["tunnels.example", "tunnels.example"],
    ["tunnels.example", "connect.tunnels.example"],
    ["tunnels.connect.example", "connect.example"],
    ["tunnels.localhost", "localhost"],
  ])("refuses tunnels below %s beside connect hosts below %s: they would share cookies", (tunnel, connect) => {
    const env = { SALLYPORT_TUNNEL_DOMAIN: tunnel, SALLYPORT_CONNECT_DOMAIN: connect };
    expect(problemsOf(env)).toContain("SALLYPORT_TUNNEL_DOMAIN");
    const SALLYPORT_TUNNEL_RAW_HOST = `raw.${tunnel}`;
    expect(problemsOf({ ...env, SALLYPORT_TUNNEL_RAW_HOST })).toContain("SALLYPORT_TUNNEL_RAW_HOST"); // all at once
  });

  it("refuses raw ports of which one is another part's", () => {
    const env = { SALLYPORT_TUNNEL_LISTEN: "0.0.0.0:20443" };
    expect(problemsOf(env)).toContain("SALLYPORT_TUNNEL_RAW_PORTS");
    expect(problemsOf({ SALLYPORT_TUNNEL_LISTEN: "127.0.0.1:20443" })).toBe("");
    expect(problemsOf({ SALLYPORT_API_LISTEN: "127.0.0.2:7350" })).toContain("SALLYPORT_TUNNEL_RAW_ADDRESS");
  });
});
