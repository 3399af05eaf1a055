import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const LEAST = {
  SALLYPORT_CONNECT_STATE: "/state",
  SALLYPORT_CONNECT_LISTENERS: "2",
  SALLYPORT_API_EDGE_SOCKET: "/api.sock",
  SALLYPORT_GATEWAY_OPEN_SOCKET: "/open.sock",
  SALLYPORT_PLATFORM_ID: "01jd00000000000000000000aa",
};

function problemsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "";
}

describe("readConfig", () => {
  it("has a default for all but where things are", () => {
    expect(readConfig(LEAST)).toMatchObject({
      connectDomain: "localhost",
      listeners: 2,
      http2: true,
      preflight: "answer",
      keepWebSockets: false,
      accessLog: true,
      drainMs: 5_000,
      certificate: undefined,
    });
    expect(readConfig(LEAST).isTrustedPeer("127.0.0.1")).toBe(false);
  });

  it("takes bounds", () => {
    const config = readConfig({
      ...LEAST,
      SALLYPORT_CONNECT_CONNECTIONS_PER_ADDRESS: "7",
      SALLYPORT_CONNECT_HEADERS: "32",
      SALLYPORT_CONNECT_STREAMS: "9",
      SALLYPORT_CONNECT_TRUSTED_PROXIES: "10.0.0.0/8, ::1",
    });
    expect(config.edgeLimits.connectionsPerAddress).toBe(7);
    expect(config.coreLimits.maxHeaders).toBe(32);
    expect(config.streamLimits.maxStreams).toBe(9);
    expect(["10.1.2.3", "::1", "11.0.0.1"].map(config.isTrustedPeer)).toEqual([true, true, false]);
  });

  it.each([{ SALLYPORT_CONNECT_HANDOVER: "true" }, { SALLYPORT_CONNECT_HANDOVER_SOCKET: "/hand-over.sock" }])(
    "needs no listener where connections are handed over (%j)",
    (more) => {
      expect(readConfig({ ...LEAST, SALLYPORT_CONNECT_LISTENERS: "", ...more }).listeners).toBe(0);
    },
  );

  it("names every problem at once, and no value", () => {
    const problems = problemsOf({ ...LEAST, SALLYPORT_CONNECT_STATE: "here", SALLYPORT_CONNECT_HTTP2: "secret-value" });
    expect(problems).toContain("SALLYPORT_CONNECT_STATE: must be an absolute path");
    expect(problems).toContain("SALLYPORT_CONNECT_HTTP2");
    expect(problems).not.toContain("secret-value");
    expect(problemsOf({})).toContain("SALLYPORT_PLATFORM_ID");
  });

  it.each([
    ["SALLYPORT_CONNECT_DOMAIN", "Example.com"],
    ["SALLYPORT_CONNECT_DOMAIN", ".example.com"],
    ["SALLYPORT_CONNECT_DOMAIN", "example.com."],
    ["SALLYPORT_CONNECT_DOMAIN", "*.example.com"],
    ["SALLYPORT_CONNECT_TRUSTED_PROXIES", "10.0.0.0/33"],
    ["SALLYPORT_CONNECT_LISTENERS", "0"],
    ["SALLYPORT_CONNECT_LISTENERS", "17"],
    ["SALLYPORT_CONNECT_HANDOVER", "yes"],
    ["SALLYPORT_CONNECT_HANDOVER_SOCKET", "hand-over.sock"],
    ["SALLYPORT_CONNECT_PREFLIGHT", "maybe"],
    ["SALLYPORT_CONNECT_HEAD_BYTES", "100"],
    ["SALLYPORT_PLATFORM_ID", "../x"],
    ["SALLYPORT_CONNECT_CERT", "/chain.pem"],
    ["SALLYPORT_CONNECT_KEY", "/key.pem"],
  ])("refuses %s=%s", (name, value) => {
    expect(problemsOf({ ...LEAST, [name]: value })).toContain(name);
  });
});
