// The turnstile: never more than it has places for, in order, and nobody is stuck.
import { describe, expect, it } from "vitest";
import { Turnstile } from "./turnstile.ts";

const never = new AbortController().signal;

describe("Turnstile", () => {
  it("lets in as many as it has places for, in the order of their coming", async () => {
    const turnstile = new Turnstile({ places: 2, maxWaitMs: 60_000 });
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    const visit = async (index: number) => {
      using _place = await turnstile.enter(never);
      order.push(index);
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 20 }, (_, index) => visit(index)));
    expect(most).toBe(2);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  it("sends away who waits for too long or goes away, and gives their places to nobody twice", async () => {
    const turnstile = new Turnstile({ places: 1, maxWaitMs: 20 });
    const place = await turnstile.enter(never);
    const caller = new AbortController();
    const gone = turnstile.enter(caller.signal);
    caller.abort(new Error("went away"));
    await expect(gone).rejects.toThrow("went away");
    await expect(turnstile.enter(never)).rejects.toMatchObject({ code: "Unavailable" });
    place[Symbol.dispose]();
    place[Symbol.dispose]();
    using _next = await turnstile.enter(never);
    await expect(turnstile.enter(never)).rejects.toMatchObject({ code: "Unavailable" });
  });
});
