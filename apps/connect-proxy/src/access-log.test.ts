import { mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@sallyport/appkit/logger";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import { TOKEN_PREFIX } from "@sallyport/connect-token/verify";
import { ACCESS_LOG_DAY_BYTES, ACCESS_LOG_TEXT_CHARACTERS } from "@sallyport/edge";
import { describe, expect, it, onTestFinished } from "vitest";
import { openConnectLog } from "./access-log.ts";
import type { ExchangeEnd } from "./exchange.ts";

const START_MS = Date.parse("2026-11-29T23:59:59.007Z");

async function openLog() {
  const directory = await mkdtemp(join(tmpdir(), "access-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const time = { nowMs: START_MS };
  const log = await openConnectLog({ directory, now: () => time.nowMs, logger: silentLogger });
  return { directory, log, time };
}

const GRANT: ConnectGrant = {
  id: "ct-1",
  sandboxId: "sb-1",
  workspaceId: "ws-1",
  port: 8_080,
  userData: undefined,
  epoch: 0,
  embed: false,
  issuedAtMs: START_MS,
  expiresAtMs: START_MS + 1_000,
  keyId: "k",
};

function end(more: Partial<ExchangeEnd> = {}): ExchangeEnd {
  return {
    protocol: "http/1.1",
    about: { method: "GET", target: "/", peerAddress: "198.51.100.1", requestId: "r-1" },
    grant: undefined,
    status: 200,
    code: undefined,
    outcome: "complete",
    inBytes: 1,
    outBytes: 2,
    ms: 1.26,
    ...more,
  };
}

describe("the access log", () => {
  it("writes a line of JSON per exchange, in the file of its day", async () => {
    const { directory, log, time } = await openLog();
    log.write(end());
    time.nowMs += 1_000;
    log.write(end({ status: 0, code: "HeadTooLarge", about: {} }));
    await log[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual(["access-2026-11-30.log"]); // the day in which they were written
    const text = await readFile(join(directory, "access-2026-11-30.log"), "utf8");
    const [first, second] = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(first).toEqual({
      time: "2026-11-29T23:59:59.007Z",
      requestId: "r-1",
      peer: "198.51.100.1",
      sandboxId: null,
      tokenId: null,
      protocol: "http/1.1",
      method: "GET",
      path: "/",
      status: 200,
      code: null,
      outcome: "complete",
      inBytes: 1,
      outBytes: 2,
      ms: 1.3,
    });
    expect(second).toMatchObject({ time: "2026-11-30T00:00:00.007Z", status: 0, code: "HeadTooLarge", method: null });
  });

  it.each([
    ["a query", "/a?token=secret", "/a"],
    ["quotes and backslashes", '/"\\', '/"\\'],
    ["line ends", '/\n{"forged":true}', '/\n{"forged":true}'],
    ["what terminals obey", "/\u001b[2J\u009b\u202e", "/\u001b[2J\u009b\u202e"],
    ["a token in a path", `/a/${TOKEN_PREFIX}abc.def`, "/a/"],
    ["a long path", `/${"x".repeat(2_000)}`, `/${"x".repeat(ACCESS_LOG_TEXT_CHARACTERS - 1)}`],
  ])("keeps %s from making a mess", async (_name, target, path) => {
    const { directory, log } = await openLog();
    log.write(end({ about: { target } }));
    await log[Symbol.asyncDispose]();
    const [name = ""] = await readdir(directory);
    const text = await readFile(join(directory, name), "utf8");
    expect(text).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(text)).toMatchObject({ path });
  });

  it("takes whoever has no good token for a stranger", async () => {
    const { directory, log: first } = await openLog();
    first.write(end());
    await first[Symbol.asyncDispose]();
    await truncate(join(directory, "access-2026-11-29.log"), ACCESS_LOG_DAY_BYTES / 2 + 1);
    const time = { nowMs: START_MS };
    const log = await openConnectLog({ directory, now: () => time.nowMs, logger: silentLogger });
    log.write(end());
    log.write(end({ grant: GRANT }));
    expect(log.dropped).toBe(1);
    time.nowMs += 1_000; // another day
    await log[Symbol.asyncDispose]();
    const text = await readFile(join(directory, "access-2026-11-30.log"), "utf8");
    expect(JSON.parse(text)).toMatchObject({ tokenId: GRANT.id });
  });

  it("bounds every text, so that each line is whole", async () => {
    const { directory, log } = await openLog();
    const long = "\u0085".repeat(100_000);
    const about = { method: long, target: long, requestId: long, peerAddress: long, sandboxId: long };
    for (let count = 0; count < 20; count += 1) log.write(end({ about, code: long }));
    await log[Symbol.asyncDispose]();
    const [name = ""] = await readdir(directory);
    const lines = (await readFile(join(directory, name), "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(20);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({
        method: long.slice(0, ACCESS_LOG_TEXT_CHARACTERS),
        outcome: "complete",
      });
    }
  });

  it("says of each line who it was, though a token comes from several addresses and is shown elsewhere", async () => {
    const { directory, log } = await openLog();
    const asked = [
      ["198.51.100.1", "sb-1"],
      ["198.51.100.2", "sb-1"],
      ["198.51.100.1", "sb-2"],
      ["198.51.100.1", "sb-1"],
    ] as const;
    for (const [peerAddress, sandboxId] of asked) log.write(end({ grant: GRANT, about: { peerAddress, sandboxId } }));
    await log[Symbol.asyncDispose]();
    const text = await readFile(join(directory, "access-2026-11-29.log"), "utf8");
    const lines = text.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject(
      asked.map(([peer, sandboxId]) => ({ peer, sandboxId, tokenId: "ct-1" })),
    );
  });
});
