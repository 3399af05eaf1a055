// Tokens that open nothing, by each carrier through the running proxy; and those that stop to count while they are used.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ASSERTION_HEADER, TOKEN_PREFIX } from "@sallyport/connect-token/verify";
import { RouteState } from "@sallyport/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId, Place } from "./place.ts";
import { RawClient, say } from "./raw-client.ts";
import type { ReadMessage } from "./strict-http.ts";
import { readAnswers, statusOf, valuesOf } from "./strict-http.ts";
import { badTokens } from "./tokens.ts";

let place: Place;

beforeAll(async () => {
  place = await Place.start();
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

const CARRIERS: Readonly<Record<string, (token: string) => string>> = {
  header: (token) => `GET / HTTP/1.1\r\nHost: {H}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  query: (token) => `GET /?_connect_token=${encodeURIComponent(token)} HTTP/1.1\r\nHost: {H}\r\n\r\n`,
  cookie: (token) => `GET / HTTP/1.1\r\nHost: {H}\r\nCookie: __Host-_connect_token=${token}\r\n\r\n`,
  "plain cookie": (token) => `GET / HTTP/1.1\r\nHost: {H}\r\nCookie: _modal_connect_token=${token}\r\n\r\n`,
};

/** The answer to a request with this token, on a connection of its own. */
async function ask(token: string, carrier = "header", sandbox = place.a): Promise<ReadMessage> {
  const bytes = CARRIERS[carrier]?.(token) ?? "";
  const client = await say(place, sandbox.name, place.fill(bytes, sandbox, token));
  const answer = readAnswers(client.received, ["GET"], true).messages[0];
  if (answer === undefined) throw new Error(`no answer: ${client.received.toString("latin1")}`);
  return answer;
}

async function statusWith(token: string, carrier?: string, sandbox = place.a): Promise<number> {
  return statusOf(await ask(token, carrier, sandbox));
}

/** A good token that base64 spells otherwise than base64url: a few in a hundred have neither of the characters that differ. */
async function spellable(): Promise<string> {
  for (;;) {
    const token = await place.token(place.a);
    if (/[-_]/.test(token)) return token;
  }
}

describe("a bad token", () => {
  it("opens nothing, whatever brings it", async () => {
    const good = await spellable();
    for (const carrier of Object.keys(CARRIERS)) expect(await statusWith(good, carrier)).toBe(200);
    const [request] = place.a.app.requests;
    if (request === undefined) throw new Error("the app was asked");
    const [assertion = ""] = valuesOf(request, ASSERTION_HEADER);
    expect(assertion).not.toBe("");
    const bad = badTokens(good, place.secret, {
      "the other workspace's": await place.token(place.b),
      "of a sandbox that is not there": await place.token({ id: newId("sb"), workspaceId: place.a.workspaceId }),
      "the assertion that the app got": assertion,
      nothing: "",
      "a word": "token",
    });
    expect(Object.keys(bad).length).toBeGreaterThanOrEqual(45);
    place.a.app.forget();
    for (const [name, token] of Object.entries(bad)) {
      for (const carrier of Object.keys(CARRIERS)) {
        const status = await statusWith(token, carrier).catch(
          (error: unknown) => `${name} by ${carrier}: ${String(error)}`,
        );
        expect([400, 401, 403, 414, 431], `${name} by ${carrier}: ${status}`).toContain(status);
      }
    }
    expect(place.a.app.requests).toEqual([]);
    expect(place.b.app.requests).toEqual([]);
  });

  it("is told apart only by who holds a good one: 401 here, 403 for another sandbox", async () => {
    expect(await statusWith("token")).toBe(401);
    const answer = await ask("token");
    expect(valuesOf(answer, "WWW-Authenticate")[0]).toContain("Bearer");
    expect(await statusWith(await place.token(place.b))).toBe(403);
  });
});

describe("a token that stops to count", () => {
  it("is refused as soon as it is revoked, and no other", async () => {
    const id = newId("ct");
    const [revoked, other] = [await place.token(place.a, { id }), await place.token(place.a)];
    expect(await statusWith(revoked)).toBe(200);
    const expiresAt = new Date(Date.now() + 3_600_000);
    await place.edge.tellAll({ revoked: [{ tokenId: id, sandboxId: place.a.id, expiresAt }] });
    for (const carrier of Object.keys(CARRIERS)) expect(await statusWith(revoked, carrier)).toBe(401);
    expect(await statusWith(other)).toBe(200);
  });

  it("is refused on a connection that is open already", async () => {
    const id = newId("ct");
    const token = await place.token(place.a, { id });
    using client = await RawClient.connect(place, place.a.name);
    const request = place.fill("GET / HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n", place.a, token);
    client.send(request);
    expect(statusOf(await client.answer())).toBe(200);
    const expiresAt = new Date(Date.now() + 3_600_000);
    await place.edge.tellAll({ revoked: [{ tokenId: id, sandboxId: place.a.id, expiresAt }] });
    client.send(request);
    expect(statusOf(await client.answer())).toBe(401);
  });

  it("is refused once it has expired, though it is remembered", async () => {
    const token = await place.token(place.a, { expiresInMs: 2_500 });
    expect(await statusWith(token)).toBe(200);
    await expect.poll(() => statusWith(token), { timeout: 15_000, interval: 100 }).toBe(401);
  });

  it("is refused with its epoch, and with its key", async () => {
    const [first, second] = [await place.token(place.a), await place.token(place.a, { epoch: 1 })];
    await place.edge.tellAll({ routes: [place.route(place.a, { tokenEpoch: 1 })] });
    expect(await statusWith(first)).toBe(401);
    expect(await statusWith(second)).toBe(200);
    await place.edge.tellAll({ keySet: JSON.stringify({ keys: [] }) });
    expect(await statusWith(second)).toBe(401);
    await place.edge.tellAll({ keySet: JSON.stringify({ keys: [place.key.publicJwk] }) });
    expect(await statusWith(second)).toBe(200);
    await place.edge.tellAll({ routes: [place.route(place.a)] });
  });

  it("gets 410 from an ended sandbox, and 404 from one that nobody knows", async () => {
    const token = await place.token(place.b);
    expect(await statusWith(token, "header", place.b)).toBe(200);
    const ended = place.route(place.b, { state: RouteState.ENDED, endedAt: new Date() });
    await place.edge.tellAll({ routes: [ended] });
    expect(await statusWith(token, "header", place.b)).toBe(410);
    await place.edge.tellAll({ routes: [place.route(place.b)] });
    const nobody = { ...place.a, id: newId("sb") };
    const stranger = { ...nobody, name: `${nobody.id}.localhost`, host: `${nobody.id}.localhost:${place.port}` };
    expect(await statusWith(await place.token(nobody), "header", stranger)).toBe(404);
  });
});

describe("what stays on disk", () => {
  /** Everything that the proxy has written so far. */
  async function kept(): Promise<string> {
    const entries = await readdir(join(place.home, "state"), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return (await Promise.all(files.map((file) => readFile(file, "latin1")))).join("\n");
  }

  it("holds no token, good or bad, whatever brought it", async () => {
    const good = await spellable();
    const bad = badTokens(good, place.secret, {});
    for (const carrier of Object.keys(CARRIERS)) {
      for (const token of [good, bad["expired"] ?? "", bad["truncated"] ?? "", bad["alg none"] ?? ""])
        await ask(token, carrier);
    }
    const mark = `/${newId("mark")}`;
    await say(
      place,
      place.a.name,
      place.fill(`GET ${mark}?a={T} HTTP/1.1\r\nHost: {H}\r\nReferer: https://x/?{T}\r\n{A}\r\n\r\n`, place.a, good),
    );
    await expect.poll(kept, { timeout: 10_000 }).toContain(mark);
    const text = await kept();
    for (const token of [good, bad["expired"] ?? "", bad["truncated"] ?? ""]) {
      for (const part of token.split(".").slice(1)) expect(text).not.toContain(part.slice(0, 40));
    }
    expect(text).not.toContain(TOKEN_PREFIX);
    expect(text).not.toContain("the-real-one");
  });
});

describe("what strangers learn", () => {
  /** Everything of an answer but what differs by nature; `Connection` by when our half was seen to close. */
  function shapeOf(answer: ReadMessage, name: string): string {
    const fields = answer.headers.filter(([field]) => !/^(date|x-request-id|content-length|connection)$/i.test(field));
    const text = JSON.stringify([answer.startLine, fields, answer.body.toString("latin1")]);
    return text
      .replaceAll(name, "(host)")
      .replaceAll(name.split(".")[0] ?? "", "(id)")
      .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "(uuid)");
  }

  it("is the same of another workspace's sandbox and of none", async () => {
    const nobody = { ...place.b, id: newId("sb") };
    const stranger = { ...nobody, name: `${nobody.id}.localhost`, host: `${nobody.id}.localhost:${place.port}` };
    const tokens = ["token", "", await place.token(place.a), await place.token(place.a, { expiresInMs: 1_000 })];
    await sleep(1_100); // the last one is over for all of them
    for (const token of tokens) {
      for (const carrier of Object.keys(CARRIERS)) {
        const there = shapeOf(await ask(token, carrier, place.b), place.b.name);
        const nowhere = shapeOf(await ask(token, carrier, stranger), stranger.name);
        expect(nowhere).toBe(there);
      }
    }
  });
});
