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

describe("settings of the connect-proxy", () => {
  it("serves loopback alone, one process, hosts below localhost", () => {
    const { connect } = readConfig({});
    expect(connect).toMatchObject({ processes: 1, domain: "localhost", port: 7443, drainMs: 5_000 });
    expect(connect.listen[0]).toEqual({ host: "127.0.0.1", port: 7443 });
    expect(connect.listen.every(({ host }) => ["127.0.0.1", "::1"].includes(host))).toBe(true);
    expect(connect.certificate).toBeUndefined();
  });

  it("takes several addresses of one port, which is that of the URLs unless another is named", () => {
    const SALLYPORT_CONNECT_LISTEN = "127.0.0.1:8443, [::1]:8443";
    const listen = [
      { host: "127.0.0.1", port: 8443 },
      { host: "::1", port: 8443 },
    ];
    expect(readConfig({ SALLYPORT_CONNECT_LISTEN }).connect).toMatchObject({ listen, port: 8443 });
    const behind = readConfig({ SALLYPORT_CONNECT_LISTEN, SALLYPORT_CONNECT_PORT: "443" });
    expect(behind.connect).toMatchObject({ listen, port: 443 });
  });

  it("hands on what is the proxy's own, and nothing else", () => {
    const { connect } = readConfig({
      SALLYPORT_CONNECT_HEADERS: "64",
      SALLYPORT_CONNECT_PREFLIGHT: "refuse",
      SALLYPORT_CONNECT_KEY_DAYS: "7",
      SALLYPORT_CONNECT_PROCESSES: "2",
      SALLYPORT_CONNECT_DOMAIN: "connect.example.com",
      SALLYPORT_CONNECT_CERT: "/etc/chain.pem",
      SALLYPORT_CONNECT_KEY: "/etc/key.pem",
      HOME: "/root",
    });
    expect(connect.proxySettings).toEqual({ SALLYPORT_CONNECT_HEADERS: "64", SALLYPORT_CONNECT_PREFLIGHT: "refuse" });
    expect(connect.apiSettings).toEqual({ SALLYPORT_CONNECT_KEY_DAYS: "7" });
    expect(connect.certificate).toEqual({ chain: "/etc/chain.pem", key: "/etc/key.pem" });
  });

  it.each([
    ["SALLYPORT_CONNECT_LISTEN", "127.0.0.1:8443,[::1]:8444"],
    ["SALLYPORT_CONNECT_LISTEN", "localhost:8443"],
    ["SALLYPORT_CONNECT_LISTEN", "127.0.0.1:8443,"],
    ["SALLYPORT_CONNECT_PROCESSES", "0"],
    ["SALLYPORT_CONNECT_PORT", "65536"],
    ["SALLYPORT_CONNECT_CERT", "/etc/chain.pem"],
    ["SALLYPORT_CONNECT_KEY", "/etc/key.pem"],
  ])("refuses %s=%s", (name, value) => {
    expect(problemsOf({ [name]: value })).toContain(name);
  });
});
