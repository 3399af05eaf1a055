// Rates and turns: what one asker may have, and that it is not at another's cost.
import { describe, expect, it } from "vitest";
import { ManualClock } from "../test/clock.ts";
import { Rates } from "./rates.ts";
import { Turns } from "./turns.ts";

describe("Rates", () => {
  const taken = (rates: Rates, client: string, count: number) =>
    Array.from({ length: count }, () => rates.take(client)).filter(Boolean).length;

  it("gives a burst, then as many as time brings", () => {
    const clock = new ManualClock();
    const rates = new Rates({ clock, perSecond: 100, burst: 200 });
    expect(taken(rates, "a", 1000)).toBe(200);
    clock.pass(500);
    expect(taken(rates, "a", 1000)).toBe(50);
    clock.pass(3_600_000);
    expect(taken(rates, "a", 1000)).toBe(200);
  });

  it("is each asker's own", () => {
    const rates = new Rates({ clock: new ManualClock(), perSecond: 1, burst: 5 });
    expect(taken(rates, "a", 10)).toBe(5);
    expect(taken(rates, "b", 10)).toBe(5);
  });
});

describe("Turns", () => {
  /** Asks for turns; tells whose turn came, in order, and lets end them. */
  function table(options: { perClient: number; total: number; waiting: number }) {
    const turns = new Turns(options);
    const began: string[] = [];
    const running: { name: string; turn: Disposable }[] = [];
    return {
      began,
      async ask(name: string, count: number): Promise<number> {
        let refused = 0;
        for (let index = 0; index < count; index += 1) {
          const waiting = turns.take(name);
          if (waiting === undefined) refused += 1;
          void waiting?.then((turn) => {
            began.push(name);
            running.push({ name, turn });
          });
        }
        await Promise.resolve();
        return refused;
      },
      async end(): Promise<void> {
        running.shift()?.turn[Symbol.dispose]();
        await Promise.resolve();
      },
    };
  }

  it("begins as many as one asker may, and the rest as they end", async () => {
    const { ask, began, end } = table({ perClient: 2, total: 10, waiting: 10 });
    expect(await ask("a", 5)).toBe(0);
    expect(began).toEqual(["a", "a"]);
    await end();
    expect(began).toHaveLength(3);
  });

  it("refuses more than may wait", async () => {
    const { ask, began } = table({ perClient: 2, total: 10, waiting: 3 });
    expect(await ask("a", 9)).toBe(4);
    expect(began).toHaveLength(2);
    expect(await ask("b", 1)).toBe(0);
  });

  it("gives everybody a turn where all is taken by one", async () => {
    const { ask, began, end } = table({ perClient: 4, total: 4, waiting: 100 });
    await ask("a", 50);
    await ask("b", 2);
    await ask("c", 1);
    expect(began).toEqual(["a", "a", "a", "a"]);
    for (let index = 0; index < 6; index += 1) await end();
    expect(began.slice(4)).toEqual(["a", "b", "c", "a", "b", "a"]);
  });

  it("gives back each turn once", async () => {
    const turns = new Turns({ perClient: 1, total: 1, waiting: 5 });
    const first = await turns.take("a");
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    const order: string[] = [];
    void turns.take("a")?.then(() => order.push("second"));
    void turns.take("a")?.then(() => order.push("third"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["second"]);
  });
});
