import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { Pace, Paces } from "./paces.ts";

const tunnel = { port: 80, kind: "tls", label: "tn-a", proxyProtocol: false } as const;

it("lets a burst through, then keeps its rate", () => {
  let nowMs = 0;
  const pace = new Pace(1_000, () => nowMs);
  expect(pace.take(100)).toBe(100); // from the first byte on
  nowMs = 10_000;
  expect(pace.take(250)).toBe(0); // what has been saved up: a quarter of a second's
  expect(pace.take(500)).toBe(500);
  expect(pace.take(500)).toBe(1_000); // whoever else comes waits behind
  nowMs = 11_000;
  expect(pace.take(100)).toBe(100);
});

it("does nothing where no rate is set", () => {
  const client = new PassThrough();
  expect(new Paces(0).paced(tunnel, client)).toBe(client);
  expect(new Paces(1).paced(tunnel, client)).not.toBe(client);
});
