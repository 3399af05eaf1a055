import { describe, expect, it } from "vitest";
import { openGate } from "./gate.ts";

describe("a gate", () => {
  it("lets only so many in, in the order in which they came, and a failure frees its place", async () => {
    const gate = openGate(2);
    const order: string[] = [];
    const holds = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    const passes = holds.map((hold, index) =>
      gate.pass(async () => {
        order.push(`in ${index}`);
        await hold.promise;
      }),
    );
    await Promise.resolve();
    expect(order).toEqual(["in 0", "in 1"]);
    holds[1]?.reject(new Error("failed"));
    await expect(passes[1]).rejects.toThrow("failed");
    for (const hold of holds) hold.resolve();
    await Promise.all([passes[0], passes[2], passes[3]]);
    expect(order).toEqual(["in 0", "in 1", "in 2", "in 3"]);
  });

  it("lets one who waits go away", async () => {
    const gate = openGate(1);
    const hold = Promise.withResolvers<void>();
    const inside = gate.pass(() => hold.promise);
    const abort = new AbortController();
    const waiting = gate.pass(async () => "never", abort.signal);
    abort.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    hold.resolve();
    await inside;
    expect(await gate.pass(async () => "in")).toBe("in");
  });

  it("tells when nobody is inside or in line", async () => {
    const gate = openGate(1);
    await gate.quiet(new AbortController().signal);
    const holds = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const passes = holds.map((hold) => gate.pass(() => hold.promise));
    let isQuiet = false;
    const quiet = gate.quiet(new AbortController().signal).then(() => {
      isQuiet = true;
    });
    holds[0]?.resolve();
    await passes[0];
    expect(isQuiet).toBe(false);
    const abort = new AbortController();
    const impatient = gate.quiet(abort.signal);
    abort.abort(new Error("no longer"));
    await expect(impatient).rejects.toThrow("no longer");
    holds[1]?.resolve();
    await quiet;
  });
});
