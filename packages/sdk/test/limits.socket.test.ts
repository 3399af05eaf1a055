// `{ signal, timeoutMs }` on every call: an aborted one is not made, one that hangs ends at once and leaves nothing
// open, and one that takes too long says so.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, Sandbox } from "../src/index.ts";
import { ProcessHandle } from "../src/process.ts";
import type { World } from "./calls.ts";
import { callsOf, endWorld, makeWorld, ONCE, REPEATED } from "./calls.ts";

const BOUNDED = [...REPEATED, ...ONCE.slice(0, 1)].filter(({ bounded }) => bounded !== false);

/** Methods that wait for nothing, and so take no limits. */
const UNLIMITED: Readonly<Record<string, string>> = {
  "Sandbox.detach": "lets the handle go, which asks nobody",
  "Sandbox.process": "names a process, which asks nobody",
  "Process.abandon": "internal: has a deadline of its own",
  "Process.waitWithin": "internal: takes the limits of a longer call",
};

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => endWorld(world));

describe.each(BOUNDED)("$name", ({ rpc, call }) => {
  it("aborted beforehand, is not made", async () => {
    const signal = AbortSignal.abort("too late");
    await expect(call(world, { signal })).rejects.toMatchObject({ code: "Cancelled", cause: "too late" });
    expect(callsOf(world, rpc)).toBe(0);
    // Nor is anything cleaned up that never was: closing waits for what goes on in the background.
    await world.client[Symbol.asyncDispose]();
    expect(world.platform.calls.filter((one) => one !== "createSandbox")).toEqual([]);
  });

  it("aborted midway, rejects and leaves no call open", async () => {
    world.platform.fail(rpc, { code: "Unavailable", instead: "hang" });
    const controller = new AbortController();
    const calling = call(world, { signal: controller.signal });
    const rejected = expect(calling).rejects.toMatchObject({ code: "Cancelled", cause: "enough" });
    await expect.poll(() => callsOf(world, rpc)).toBe(1);
    controller.abort("enough");
    await rejected;
    await expect.poll(() => world.platform.openCalls).toBe(0);
  });

  it("past its deadline, rejects and leaves no call open", async () => {
    world.platform.fail(rpc, { code: "Unavailable", instead: "hang" });
    await expect(call(world, { timeoutMs: 250 })).rejects.toMatchObject({ code: "DeadlineExceeded", retryable: true });
    await expect.poll(() => world.platform.openCalls).toBe(0);
  });

  it("takes no time that is none", async () => {
    for (const timeoutMs of [-1, Number.NaN]) {
      await expect(call(world, { timeoutMs })).rejects.toMatchObject({ code: "InvalidArgument", field: "timeoutMs" });
    }
    expect(callsOf(world, rpc)).toBe(0);
  });

  it("leaves no listener on a signal that it no longer needs", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    world.platform.fail(rpc, { code: "InvalidArgument" });
    await expect(call(world, { signal })).rejects.toMatchObject({ code: "InvalidArgument" });
    expect(listeners).toBe(0);
  });
});

describe("a stream that is let go", () => {
  it("leaves no call open", async () => {
    const reader = world.process.stdout.getReader();
    const reading = reader.read();
    await expect.poll(() => callsOf(world, "readOutput")).toBe(1);
    await reader.cancel();
    expect(await reading).toEqual({ done: true, value: undefined });
    await expect.poll(() => world.platform.openCalls).toBe(0);
  });

  it("ends with its handle", async () => {
    const reading = world.process.stdout.text();
    const rejected = expect(reading).rejects.toMatchObject({ code: "FailedPrecondition" });
    await expect.poll(() => callsOf(world, "readOutput")).toBe(1);
    await world.sandbox.detach();
    await rejected;
    await expect.poll(() => world.platform.openCalls).toBe(0);
  });
});

describe("the table", () => {
  it("has every method that waits", () => {
    const named = new Set(REPEATED.map(({ name }) => name.replace(/\(.*\)$/, "")));
    const methods = [
      ...methodsOf("Sandbox", Sandbox),
      ...methodsOf("Sandbox", Sandbox.prototype),
      ...methodsOf("Process", ProcessHandle.prototype),
      ...methodsOf("Client", Client.prototype),
    ];
    expect(methods.length).toBeGreaterThan(20);
    expect(methods.filter((method) => !named.has(method) && UNLIMITED[method] === undefined)).toEqual([]);
  });
});

function methodsOf(owner: string, of: object): readonly string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(of))
    .filter(([name, { value }]) => typeof value === "function" && name !== "constructor" && name !== "prototype")
    .map(([name]) => `${owner}.${name}`);
}
