// Settings: good ones, defaults, and all problems at once.
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const GOOD = {
  SALLYPORT_DB_SOCKET_DIR: "/run/x",
  SALLYPORT_API_STATE: "/state",
  SALLYPORT_OPERATOR_SOCKET: "/run/operator.sock",
  SALLYPORT_WORKER_SOCKET: "/run/worker.sock",
  SALLYPORT_GATEWAY_SOCKET: "/run/gateway.sock",
  SALLYPORT_EDGE_SOCKET: "/run/edge.sock",
  SALLYPORT_PLATFORM_ID: "01jd0000000000000000000000",
};

describe("readConfig", () => {
  it("fills in defaults", () => {
    expect(readConfig(GOOD)).toMatchObject({
      listen: { host: "127.0.0.1", port: 7350 },
      httpListen: { host: "127.0.0.1", port: 7352 },
      database: { kind: "socket", socketDir: "/run/x", name: "sallyport", user: "sallyport" },
      connect: { domain: "localhost", port: 7_443, isLocal: true, keyLifeMs: 30 * 86_400_000 },
      tunnels: {
        domain: "localhost",
        port: 7_443,
        isLocal: true,
        rawHost: "127.0.0.2",
        rawPorts: undefined, // none that no tunnel-edge listens at
        rawPortsPerWorkspace: 0,
        rawRestMs: 600_000,
      },
    });
  });

  it("reads where sandboxes are reached", () => {
    const env = {
      SALLYPORT_CONNECT_DOMAIN: "connect.example.com",
      SALLYPORT_CONNECT_PORT: "443",
      SALLYPORT_CONNECT_CERT: "/etc/connect.pem",
      SALLYPORT_CONNECT_KEY_DAYS: "7",
    };
    const connect = { domain: "connect.example.com", port: 443, isLocal: false, keyLifeMs: 7 * 86_400_000 };
    expect(readConfig({ ...GOOD, ...env })).toMatchObject({ connect });
    for (const [name, value] of [
      ["SALLYPORT_CONNECT_DOMAIN", "Connect.example.com"],
      ["SALLYPORT_CONNECT_DOMAIN", "a..b"],
      ["SALLYPORT_CONNECT_DOMAIN", ".localhost"],
      ["SALLYPORT_CONNECT_DOMAIN", `${"a.".repeat(120)}a`],
      ["SALLYPORT_CONNECT_PORT", "0"],
      ["SALLYPORT_CONNECT_PORT", "65536"],
      ["SALLYPORT_CONNECT_KEY_DAYS", "0"],
      ["SALLYPORT_CONNECT_KEY_DAYS", "366"],
    ] as const) {
      expect(() => readConfig({ ...GOOD, [name]: value }), `${name}=${value}`).toThrow(name);
    }
  });

  it("reads where declared ports are reached", () => {
    const env = {
      SALLYPORT_CONNECT_DOMAIN: "connect.example.com",
      SALLYPORT_TUNNEL_DOMAIN: "tunnels.example.net",
      SALLYPORT_TUNNEL_PORT: "443",
      SALLYPORT_TUNNEL_CERT: "/etc/tunnels.pem",
      SALLYPORT_TUNNEL_RAW_HOST: "raw.example.org",
      SALLYPORT_TUNNEL_RAW_PORTS: "20000-20999",
      SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE: "100",
      SALLYPORT_TUNNEL_RAW_REST_MS: "0",
    };
    const { tunnels } = readConfig({ ...GOOD, ...env });
    const domain = "tunnels.example.net";
    const rawPorts = { from: 20_000, to: 20_999 };
    const raw = { rawHost: "raw.example.org", rawPorts, rawPortsPerWorkspace: 100, rawRestMs: 0 };
    expect(tunnels).toEqual({ domain, port: 443, isLocal: false, ...raw });
    const one = readConfig({
      ...GOOD,
      SALLYPORT_TUNNEL_RAW_PORTS: "1-65535",
      SALLYPORT_TUNNEL_RAW_HOST: "2001:db8::1",
    });
    expect(one.tunnels).toMatchObject({ rawHost: "2001:db8::1", rawPorts: { from: 1, to: 65_535 } });
    // A quarter, and what one sandbox may declare at least.
    for (const [ports, share] of [
      ["20000-20999", 250],
      ["20000-20100", 26],
      ["20000-20009", 16],
    ] as const) {
      const { tunnels: made } = readConfig({ ...GOOD, SALLYPORT_TUNNEL_RAW_PORTS: ports });
      expect(made.rawPortsPerWorkspace, ports).toBe(share);
    }
  });

  it.each([
    ["DOMAIN", "Tunnels.example.com"],
    ["DOMAIN", ".localhost"],
    ["PORT", "0"],
    ["CERT", "tunnels.pem"],
    ["RAW_PORTS", "0-10"],
    ["RAW_PORTS", "20-10"],
    ["RAW_PORTS", "20000-65536"],
    ["RAW_PORTS", "20000"],
    ["RAW_PORTS", "20000-20999-21000"],
    ["RAW_REST_MS", "-1"],
    ["RAW_REST_MS", "604800001"],
    ["RAW_HOST", "Raw.example.org"],
    ["RAW_HOST", "raw.example.org."],
    ["RAW_HOST", "raw.example.org:80"],
    ["RAW_HOST", "127.1"],
    ["RAW_HOST", "2130706433"],
    ["RAW_HOST", "0x7f000002"],
    ["RAW_HOST", "127.0.0.02"],
    ["RAW_HOST", "2001:db8:0::1"],
    ["RAW_HOST", "::ffff:127.0.0.1"],
    ["RAW_HOST", "a/b"],
    ["RAW_HOST", "a@b"],
  ])("refuses as the tunnels' %s %s", (name, value) => {
    const setting = `SALLYPORT_TUNNEL_${name}`;
    expect(() => readConfig({ ...GOOD, [setting]: value })).toThrow(setting);
  });

  it("refuses names that cookies know no border between", () => {
    const setting = { SALLYPORT_CONNECT_DOMAIN: "example.com", SALLYPORT_TUNNEL_DOMAIN: "tunnels.example.com" };
    expect(() => readConfig({ ...GOOD, ...setting })).toThrow("SALLYPORT_TUNNEL_DOMAIN");
    expect(() => readConfig({ ...GOOD, SALLYPORT_TUNNEL_RAW_HOST: "127.0.0.1" })).toThrow("SALLYPORT_TUNNEL_RAW_HOST");
  });

  it("reads an IPv6 address and a URL", () => {
    const { SALLYPORT_DB_SOCKET_DIR: _socket, ...rest } = GOOD;
    const env = { ...rest, DATABASE_URL: "postgres://db/x", SALLYPORT_API_LISTEN: "[::1]:80" };
    expect(readConfig(env)).toMatchObject({
      listen: { host: "::1", port: 80 },
      database: { kind: "url", url: "postgres://db/x" },
    });
  });

  it("names every problem and shows no value", () => {
    const env = {
      ...GOOD,
      DATABASE_URL: "mysql://u:hunter2@db",
      SALLYPORT_API_STATE: "state",
      SALLYPORT_PLATFORM_ID: "",
    };
    const read = () => readConfig(env);
    expect(read).toThrow(/DATABASE_URL[\s\S]*SALLYPORT_API_STATE[\s\S]*SALLYPORT_PLATFORM_ID/);
    expect(read).not.toThrow(/hunter2/);
  });

  it.each([{ DATABASE_URL: "postgres://db/x" }, { SALLYPORT_DB_SOCKET_DIR: "" }])(
    "wants one database: %o",
    (change) => {
      expect(() => readConfig({ ...GOOD, ...change })).toThrow(/exactly one/);
    },
  );

  it.each(["7350", "x:y", "h:70000", "a b:1"])("refuses to listen at %s", (listen) => {
    expect(() => readConfig({ ...GOOD, SALLYPORT_API_LISTEN: listen })).toThrow(/SALLYPORT_API_LISTEN/);
  });
});
