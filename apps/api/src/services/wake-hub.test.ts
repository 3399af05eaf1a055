// Wake-ups: none is lost, none goes astray, and waiting can always be ended.
import { describe, expect, it } from "vitest";
import { WakeHub } from "./wake-hub.ts";

const LONG_MS = 60_000;
const never = new AbortController().signal;

describe("WakeHub", () => {
  it("remembers a wake-up that came before the wait, once", async () => {
    const hub = new WakeHub();
    using subscription = hub.subscribe("a");
    hub.wake("a");
    await subscription.next(LONG_MS, never);
    const startedAt = performance.now();
    await subscription.next(20, never);
    expect(performance.now() - startedAt).toBeGreaterThan(10);
  });

  it("wakes who waits for this topic, and nobody else", async () => {
    const hub = new WakeHub();
    using one = hub.subscribe("a");
    using two = hub.subscribe("b");
    const woken: string[] = [];
    const waits = [
      one.next(LONG_MS, never).then(() => woken.push("a")),
      two.next(30, never).then(() => woken.push("b")),
    ];
    hub.wake("a");
    await Promise.all(waits);
    expect(woken).toEqual(["a", "b"]);
  });

  it("ends a wait when its caller goes away, and all when it is closed", async () => {
    const hub = new WakeHub();
    using one = hub.subscribe("a");
    using two = hub.subscribe("a");
    const caller = new AbortController();
    const [first, second] = [one.next(LONG_MS, caller.signal), two.next(LONG_MS, never)];
    caller.abort(new Error("went away"));
    await expect(first).rejects.toThrow("went away");
    hub.close(new Error("closed"));
    await expect(second).rejects.toThrow("closed");
    await expect(hub.subscribe("b").next(LONG_MS, never)).rejects.toThrow("closed");
  });
});
