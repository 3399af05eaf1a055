// Hostile answers of an app through the running proxy: each client gets sound HTTP or a broken connection, and the next
// one on the same upstream gets its own answer.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostileAnswer, Seen } from "./hostile-answers.ts";
import { HOSTILE_ANSWERS } from "./hostile-answers.ts";
import { Place } from "./place.ts";
import { plainAnswer } from "./raw-app.ts";
import { RawClient } from "./raw-client.ts";
import { readAnswers, statusOf, targetOf, valuesOf } from "./strict-http.ts";

const AT_LEAST = 120;

let place: Place;
let token: string;
let canary: RawClient;
let canaries = 0;

beforeAll(async () => {
  place = await Place.start();
  token = await place.token(place.a);
  canary = await RawClient.connect(place, place.a.name);
});

afterAll(async () => {
  canary?.[Symbol.dispose]();
  await place?.[Symbol.asyncDispose]();
});

async function sing(): Promise<void> {
  const target = `/canary-${canaries++}`;
  canary.send(place.fill(`GET ${target} HTTP/1.1\r\nHost: {H}\r\n{A}\r\n\r\n`, place.a, token));
  const answer = await canary.answer();
  expect(answer.startLine).toBe("HTTP/1.1 200 OK");
  expect(answer.body.toString()).toContain(` ${target} 0 `);
}

describe("the corpus of hostile answers", () => {
  it("is as large as it says", () => {
    expect(HOSTILE_ANSWERS.length).toBeGreaterThanOrEqual(AT_LEAST);
    expect(new Set(HOSTILE_ANSWERS.map(({ name }) => name)).size).toBe(HOSTILE_ANSWERS.length);
  });

  for (const hostile of HOSTILE_ANSWERS) {
    it(hostile.name, async () => {
      place.a.app.program = (request, connection, app) => {
        if (targetOf(request) === "/hostile") hostile.answer(connection, request);
        else connection.socket.write(plainAnswer(app, request), "latin1");
      };
      await sing();
      using client = await RawClient.connect(place, place.a.name);
      const head = [`${hostile.method} /hostile HTTP/1.1`, "Host: {H}", "{A}", ...hostile.fields].join("\r\n");
      client.send(place.fill(`${head}\r\n\r\n`, place.a, token));
      const seen = await look(client, hostile);
      await sing();
      expect(hostile.seen).toContainEqual(seen);
      // Behind a 101 that answers the handshake, bytes are the client's.
      if (typeof seen !== "object" || seen.status !== 101) expect(client.received.includes("STRAY")).toBe(false);
      await sing();
    });
  }
});

/** What the client saw, in the words of the table. */
async function look(client: RawClient, { method, seen }: HostileAnswer): Promise<Seen> {
  const read = () => readAnswers(client.received, [method], client.ending === "end");
  const final = () => read().messages.find((message) => statusOf(message) >= 200 || statusOf(message) === 101);
  await client.until(() => final() !== undefined || read().problem !== undefined || client.ending !== undefined);
  expect(read().problem).toBeUndefined();
  const answer = final();
  if (answer === undefined) return "cut";
  const status = statusOf(answer);
  if (status === 502 && valuesOf(answer, "x-app").length === 0) return "502";
  const wanted = seen.find((one) => typeof one === "object" && one.status === status);
  const body = answer.body.toString("latin1");
  return typeof wanted === "object" && wanted.body !== undefined ? { status, body } : { status };
}
