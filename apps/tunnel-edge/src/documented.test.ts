// docs/tunnels.md says of this edge what is so: every setting of its own, and every limit with its default.
import { readFileSync } from "node:fs";
import { numbersByWord, numbersOf, rowsOf, wordsOf } from "@sallyport/testkit/document-tables";
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

const DOCUMENT = readFileSync(new URL("../../../docs/tunnels.md", import.meta.url), "utf8");
const SOURCE = readFileSync(new URL("config.ts", import.meta.url), "utf8");
/** Said by the supervisor, not by people. */
const NOT_FOR_PEOPLE = ["STATE", "TICKETS", "LISTENERS", "CONNECT_DOMAIN", "CONNECT_SOCKETS"];
/** Of the supervisor and the api, which this app does not know. */
const ELSEWHERE = ["LISTEN", "RAW_HOST", "RAW_PORTS_PER_WORKSPACE", "RAW_REST_MS"];

const { edgeLimits, tunnelLimits, drainMs } = readConfig({
  SALLYPORT_TUNNEL_STATE: "/s",
  SALLYPORT_TUNNEL_LISTENERS: "1",
  SALLYPORT_API_EDGE_SOCKET: "/a",
  SALLYPORT_GATEWAY_OPEN_SOCKET: "/g",
  SALLYPORT_PLATFORM_ID: "01jd0000000000000000000000",
});

describe("the document", () => {
  it("names every setting, and none that is not", () => {
    const names = new Set([...SOURCE.matchAll(/SALLYPORT_TUNNEL_([A-Z0-9_]+):/g)].map(([, name = ""]) => name));
    const settings = rowsOf(DOCUMENT, "Settings").flatMap(([cell]) => wordsOf(cell));
    const limits = rowsOf(DOCUMENT, "Limits").flatMap(([cell]) => wordsOf(cell));
    const documented = [...settings.map((name) => name.replace("SALLYPORT_TUNNEL_", "")), ...limits];
    expect(documented.filter((name) => ELSEWHERE.includes(name))).toHaveLength(ELSEWHERE.length);
    expect(documented.filter((name) => !names.has(name) && !ELSEWHERE.includes(name))).toEqual([]);
    expect([...names].filter((name) => !documented.includes(name) && !NOT_FOR_PEOPLE.includes(name))).toEqual([]);
  });

  it("says the defaults of limits, and of the time to drain", () => {
    expect(numbersByWord(rowsOf(DOCUMENT, "Limits"))).toEqual({
      CONNECTIONS: edgeLimits.connections,
      CONNECTIONS_PER_ADDRESS: edgeLimits.connectionsPerAddress,
      CONNECTIONS_PER_SANDBOX: edgeLimits.connectionsPerSandbox,
      HANDSHAKES: edgeLimits.handshakes,
      HANDSHAKE_MS: edgeLimits.handshakeMs,
      OPEN_MS: tunnelLimits.openMs,
      START_RETRY_MS: tunnelLimits.startRetryMs,
      IDLE_MS: tunnelLimits.idleMs,
      RAW_IDLE_MS: tunnelLimits.rawIdleMs,
      BYTES_PER_SECOND: tunnelLimits.bytesPerSecond,
    });
    const drain = rowsOf(DOCUMENT, "Settings").find(([cell]) => cell?.includes("DRAIN_MS"));
    expect(numbersOf(drain?.[1])).toEqual([drainMs]);
  });
});
