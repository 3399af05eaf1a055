import { AppError } from "@sallyport/appkit/errors";
import { expect, it } from "vitest";
import { SleepGate } from "./sleep-gate.ts";

function makeGate(maxWaitMs = 10_000) {
  const wanted: number[] = [];
  const gate = new SleepGate({ maxWaitMs, onWanted: () => wanted.push(wanted.length) });
  return { gate, wanted };
}

const never = new AbortController().signal;

it("lets through while awake, and asks once for many who wait", async () => {
  const { gate, wanted } = makeGate();
  await gate.pass(never);
  gate.suspend();
  const waiting = Promise.all([gate.pass(never), gate.pass(never)]);
  expect(wanted).toHaveLength(1);
  expect(gate.wakeWanted).toBe(true);
  gate.resume();
  await waiting;
  expect(gate.wakeWanted).toBe(false);
  gate.suspend();
  const again = gate.pass(never);
  expect(wanted).toHaveLength(2);
  gate.resume();
  await again;
});

it("holds nobody longer than its bound, nor than the caller wants", async () => {
  const { gate } = makeGate(20);
  gate.suspend();
  await expect(gate.pass(never)).rejects.toSatisfy(
    (error) => error instanceof AppError && error.code === "Unavailable",
  );
  const caller = new AbortController();
  const waiting = gate.pass(caller.signal);
  caller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(gate.wakeWanted).toBe(false);
});
