import { systemClock } from "@sallyport/appkit/clock";
import { silentLogger } from "@sallyport/appkit/logger";
import type { InstanceReport } from "@sallyport/contracts";
import { InstanceState } from "@sallyport/contracts";
import { describe, expect, it } from "vitest";
import { openReporter } from "./reports.ts";

const ID = "in-01j00000000000000000000001";

function report(seq: number, state: InstanceState = InstanceState.RUNNING): InstanceReport {
  return {
    instanceId: ID,
    generation: 1,
    seq,
    state,
    networkGeneration: 0,
    at: new Date(0),
    asleep: false,
    sleepGeneration: 0,
    events: [],
  };
}

interface Sent {
  readonly requests: InstanceReport[][];
  failing: boolean;
  acking: boolean;
}

function open(heartbeatMs = 20) {
  const sent: Sent = { requests: [], failing: false, acking: true };
  const acked: number[] = [];
  const reporter = openReporter({
    send: async (reports) => {
      if (sent.failing) throw new Error("away");
      sent.requests.push(reports);
      return sent.acking ? reports.map(({ instanceId, seq }) => ({ instanceId, seq, unknown: false })) : [];
    },
    onAck: async ({ seq }) => {
      acked.push(seq);
    },
    clock: systemClock,
    logger: silentLogger,
    heartbeatMs,
  });
  return { sent, acked, reporter };
}

describe("the reporter", () => {
  it("gives signs of life when there is nothing to tell", async () => {
    const { sent, reporter } = open();
    reporter.begin();
    await expect.poll(() => sent.requests.length).toBeGreaterThan(2);
    expect(sent.requests.flat()).toEqual([]);
    await reporter[Symbol.asyncDispose]();
  });

  it("tells a change at once and until it is acknowledged, the newest alone", async () => {
    const { sent, acked, reporter } = open(60_000);
    sent.failing = true;
    reporter.put(report(1));
    reporter.begin();
    reporter.put(report(3));
    reporter.put(report(2));
    sent.failing = false;
    await reporter.flush(5_000);
    expect(acked).toEqual([3]);
    reporter.put(report(4, InstanceState.ENDED));
    await reporter.flush(5_000);
    expect(acked).toEqual([3, 4]);
    await reporter[Symbol.asyncDispose]();
  });

  it("tells again what nobody acknowledged", async () => {
    const { sent, acked, reporter } = open();
    sent.acking = false;
    reporter.put(report(1));
    reporter.begin();
    await expect.poll(() => sent.requests.flat().length).toBeGreaterThan(2);
    sent.acking = true;
    await expect.poll(() => acked).toEqual([1]);
    await reporter[Symbol.asyncDispose]();
  });

  it("gives up a last word with its deadline", async () => {
    const { sent, reporter } = open();
    sent.failing = true;
    reporter.put(report(1));
    reporter.begin();
    await reporter.flush(30);
    await reporter[Symbol.asyncDispose]();
    expect(sent.requests).toEqual([]);
  });
});
