// docs/connect-tokens.md says of this proxy what is so: every setting with its default, every refusal with its status.
import { readFileSync } from "node:fs";
import { numbersByWord, numbersOf, rowsOf, wordsOf } from "@sallyport/testkit/document-tables";
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { REFUSAL_CODES, refusal } from "./refusals.ts";

const DOCUMENT = readFileSync(new URL("../../../docs/connect-tokens.md", import.meta.url), "utf8");
const SOURCE = readFileSync(new URL("config.ts", import.meta.url), "utf8");
/** Said by the supervisor, not by people. */
const NOT_FOR_PEOPLE = ["STATE", "LISTENERS", "HANDOVER", "HANDOVER_SOCKET", "TICKETS"];

const CONFIG = readConfig({
  SALLYPORT_CONNECT_STATE: "/s",
  SALLYPORT_CONNECT_LISTENERS: "1",
  SALLYPORT_API_EDGE_SOCKET: "/a",
  SALLYPORT_GATEWAY_OPEN_SOCKET: "/g",
  SALLYPORT_PLATFORM_ID: "01jd0000000000000000000000",
});

describe("the document", () => {
  it("names every setting", () => {
    const names = new Set([...SOURCE.matchAll(/SALLYPORT_CONNECT_([A-Z0-9_]+):/g)].map(([, name = ""]) => name));
    const settings = rowsOf(DOCUMENT, "Settings").flatMap(([cell]) => wordsOf(cell));
    const documented = new Set([
      ...settings.map((name) => name.replace("SALLYPORT_CONNECT_", "")),
      ...rowsOf(DOCUMENT, "Limits").flatMap(([cell]) => wordsOf(cell)),
    ]);
    expect([...names].filter((name) => !documented.has(name) && !NOT_FOR_PEOPLE.includes(name))).toEqual([]);
    expect(
      rowsOf(DOCUMENT, "Limits")
        .flatMap(([cell]) => wordsOf(cell))
        .filter((name) => !names.has(name)),
    ).toEqual([]);
  });

  it("says the defaults of limits", () => {
    const { edgeLimits, coreLimits, streamLimits } = CONFIG;
    const actual: Readonly<Record<string, number>> = {
      CONNECTIONS: edgeLimits.connections,
      CONNECTIONS_PER_ADDRESS: edgeLimits.connectionsPerAddress,
      CONNECTIONS_PER_SANDBOX: edgeLimits.connectionsPerSandbox,
      HANDSHAKES: edgeLimits.handshakes,
      HANDSHAKE_MS: edgeLimits.handshakeMs,
      HEAD_BYTES: coreLimits.maxHeadBytes,
      HEADERS: coreLimits.maxHeaders,
      URL_BYTES: coreLimits.maxUrlBytes,
      HEAD_MS: coreLimits.headMs,
      IDLE_MS: coreLimits.idleMs,
      STALL_MS: coreLimits.stallMs,
      ANSWER_MS: coreLimits.answerMs,
      ANSWER_IDLE_MS: coreLimits.answerIdleMs,
      START_RETRY_MS: coreLimits.startRetryMs,
      REQUESTS_PER_SANDBOX: coreLimits.maxRequestsPerSandbox,
      WEBSOCKETS_PER_SANDBOX: coreLimits.maxWebSocketsPerSandbox,
      WEBSOCKETS: coreLimits.maxWebSockets,
      STREAMS: streamLimits.maxStreams,
      RESET_BURST: streamLimits.resetBurst,
      RESETS_PER_SECOND: streamLimits.resetsPerSecond,
    };
    expect(numbersByWord(rowsOf(DOCUMENT, "Limits"))).toEqual(actual);
  });

  it("says what is refused, with which status", () => {
    const documented = rowsOf(DOCUMENT, "Refusals").flatMap(([statuses = "", codes]) => {
      const numbers = numbersOf(statuses);
      return wordsOf(codes).map((code, index) => [code, numbers[index] ?? numbers[0]] as const);
    });
    const actual = REFUSAL_CODES.map((code) => [code, refusal(code, {}).status] as const);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(actual));
  });
});
