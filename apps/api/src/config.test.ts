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
