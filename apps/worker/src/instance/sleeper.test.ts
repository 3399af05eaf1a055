// The state machine under a clock of the test's own, between a gateway and a freezer that do as they are told.
import { AppError } from "@sallyport/appkit/errors";
import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepUp } from "./keep-up.ts";
import type { InstanceRecord } from "./record.ts";
import { Sleeper } from "./sleeper.ts";

const stop = { current: new AbortController() };

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  stop.current = new AbortController();
});

afterEach(() => {
  stop.current.abort(new Error("over"));
  vi.useRealTimers();
});

const clock = {
  now: () => Date.now(),
  monotonicMs: () => Date.now(),
  sleep: (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    }),
};

const BARE: InstanceRecord = {
  version: 1,
  instanceId: "in-01jz0000000000000000000001",
  sandboxId: "sb-01jz0000000000000000000001",
  containerId: "bx-01jz0000000000000000000001",
  generation: 1,
  phase: "running",
  seq: 1,
  at: 0,
  bootId: "b",
  networkGeneration: 1,
};

interface WorldOptions {
  readonly sleepAfterMs?: number;
  readonly idleTimeoutMs?: number;
  readonly sleep?: InstanceRecord["sleep"];
  readonly frozen?: boolean;
}

async function startWorld({ frozen = false, sleep, ...timers }: WorldOptions) {
  const spec = {
    ...timers,
    imageDigest: "sha256:0",
    limits: { cpuMillis: 1, memoryMiB: 1, pids: 1 },
    lifetimeMs: 1,
    env: {},
    workdir: "/",
    network: {
      generation: 1,
      rules: { mode: "open" as const, allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] },
    },
  };
  const world = {
    /** What was done, in order. */
    did: [] as string[],
    frozen,
    /** What the next call of that name answers with. */
    failures: new Map<string, Error>(),
    record: { ...BARE, spec, sleep } as InstanceRecord,
    ended: false,
    duringFreeze: () => {},
  };
  const done = async (what: string) => {
    world.did.push(what);
    const failure = world.failures.get(what);
    world.failures.delete(what);
    if (failure !== undefined) throw failure;
  };
  const sleeper = new Sleeper({
    parts: {
      runtime: {
        freeze: async () => {
          await done("freeze");
          world.duringFreeze();
          world.frozen = true;
        },
        thaw: async () => {
          await done("thaw");
          world.frozen = false;
        },
        isFrozen: async () => world.frozen,
      },
      gateway: {
        suspend: async (_id, force) => await done(force ? "suspend!" : "suspend"),
        resume: async () => await done("resume"),
      },
      clock,
    },
    logger: silentLogger,
    record: () => world.record,
    keep: async (kept, event) => {
      world.record = { ...world.record, sleep: kept };
      await done(event === undefined ? "keep" : `keep ${event.type} ${event.detail["by"] ?? "found"}`);
    },
    mayEnd: () => true,
    onIdle: () => {
      world.ended = true;
      world.did.push("end");
      stop.current.abort(new Error("over"));
    },
  });
  const begin = () => {
    const { signal } = stop.current;
    keepUp(() => sleeper.step(signal), { changes: sleeper.changes, clock, signal, onFailure: () => {} }).catch(() => {
      world.did.push("stopped");
    });
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  /** What was done since it was asked last. */
  const did = () => world.did.splice(0);
  return { world, sleeper, begin, pass, did };
}

const ASLEEP = ["suspend", "freeze", "keep asleep idle"];

describe("falling asleep", () => {
  it("comes after so long without use, in order", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    await pass(10_000);
    expect(did()).toEqual([]); // nobody has told yet
    sleeper.told(true, 0);
    await pass(10_000);
    expect(did()).toEqual([]);
    sleeper.told(false, 400);
    await pass(599);
    expect(did()).toEqual([]);
    await pass(1);
    expect(did()).toEqual(ASLEEP);
    expect(sleeper.asleep).toBe(true);
    expect(world.record.sleep).toEqual({ asleep: true, generation: 0, idleSince: Date.now() - 1_000 });
  });

  it("counts from the start of the command, and is put off by use", async () => {
    const { sleeper, begin, pass, did } = await startWorld({ sleepAfterMs: 1_000 });
    sleeper.begin();
    begin();
    sleeper.told(false, 60_000);
    await pass(900);
    sleeper.told(true, 0);
    sleeper.told(false, 0);
    await pass(900);
    expect(did()).toEqual([]);
    await pass(100);
    expect(did()).toEqual(ASLEEP);
  });

  it("is refused while the gateway sees use, and tried again only once that is over", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    world.failures.set("suspend", new AppError("FailedPrecondition", "in use"));
    sleeper.told(false, 1_000);
    await pass(60_000);
    expect(did()).toEqual(["suspend"]);
    sleeper.told(false, 1_000);
    await pass(0);
    expect(did()).toEqual(ASLEEP);
  });

  it("is undone where it cannot be frozen, and the gateway lets go on what it held back", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    world.failures.set("freeze", new Error("no freezer"));
    sleeper.told(false, 1_000);
    await pass(0);
    expect(did()).toEqual(["suspend", "freeze", "resume"]);
    expect(sleeper.asleep).toBe(false);
    await pass(1_000);
    expect(did()).toEqual(ASLEEP);
  });

  it("gives way to somebody who comes in the middle", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    world.duringFreeze = () => {
      sleeper.told(true, 0);
      sleeper.wakeWanted();
    };
    sleeper.told(false, 1_000);
    await pass(0);
    expect(did()).toEqual([...ASLEEP, "thaw", "resume", "keep awake use"]);
    expect(sleeper.asleep).toBe(false);
  });
});

describe("waking", () => {
  it("comes with use, in order, and sleep comes again", async () => {
    const { sleeper, begin, pass, did } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    sleeper.told(false, 1_000);
    await pass(500);
    did();
    sleeper.told(true, 0);
    sleeper.wakeWanted();
    await pass(0);
    expect(did()).toEqual(["thaw", "resume", "keep awake use"]);
    sleeper.told(false, 0);
    await pass(1_000);
    expect(did()).toEqual(ASLEEP);
  });

  it("goes on until the gateway has let go on who waits", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    sleeper.told(false, 1_000);
    await pass(0);
    did();
    world.failures.set("resume", new AppError("Unavailable", "away"));
    sleeper.told(true, 0);
    sleeper.wakeWanted();
    await pass(5_000);
    expect(did()).toEqual(["thaw", "resume", "keep awake use", "resume"]);
  });

  it("tries again where thawing failed", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    sleeper.told(false, 1_000);
    await pass(0);
    did();
    world.failures.set("thaw", new Error("not now"));
    sleeper.wakeWanted();
    await pass(5_000);
    expect(did().slice(0, 4)).toEqual(["thaw", "thaw", "resume", "keep awake use"]);
  });
});

describe("by hand", () => {
  it("follows each wish once, by force, and tells which", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({});
    begin();
    sleeper.told(true, 0);
    sleeper.wished({ generation: 1, asleep: true });
    sleeper.wished({ generation: 1, asleep: true });
    await pass(0);
    expect(did()).toEqual(["suspend!", "freeze", "keep asleep hand"]);
    expect(world.record.sleep).toMatchObject({ asleep: true, generation: 1 });
    sleeper.wakeWanted();
    await pass(0);
    expect(did()).toEqual(["thaw", "resume", "keep awake use"]);
    expect(world.record.sleep).toEqual({ asleep: false, generation: 1 });
    sleeper.wished({ generation: 1, asleep: true });
    await pass(60_000);
    expect(did()).toEqual([]);
    sleeper.wished({ generation: 2, asleep: false });
    await pass(0);
    expect(did()).toEqual(["keep"]);
    expect(world.record.sleep).toMatchObject({ asleep: false, generation: 2 });
  });

  it("wakes, and is then left alone for as long as any use would have it", async () => {
    const { sleeper, begin, pass, did } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    sleeper.told(false, 1_000);
    await pass(0);
    did();
    sleeper.wished({ generation: 1, asleep: false });
    await pass(999);
    expect(did()).toEqual(["thaw", "resume", "keep awake hand"]);
    await pass(1);
    expect(did()).toEqual(ASLEEP);
  });
});

describe("a wish to be awake", () => {
  it("counts as use where it is awake already", async () => {
    const { sleeper, begin, pass, did } = await startWorld({ sleepAfterMs: 1_000 });
    begin();
    sleeper.told(false, 0);
    await pass(999);
    sleeper.wished({ generation: 1, asleep: false });
    await pass(999);
    expect(did()).toEqual(["keep"]);
    await pass(1);
    expect(did()).toEqual(ASLEEP);
  });
});

describe("the idle timeout", () => {
  it("ends what nothing uses, unless the gateway knows better", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({ idleTimeoutMs: 5_000 });
    begin();
    world.failures.set("suspend", new AppError("FailedPrecondition", "in use"));
    sleeper.told(false, 5_000);
    await pass(0);
    expect(did()).toEqual(["suspend"]);
    expect(world.ended).toBe(false);
    sleeper.told(false, 0);
    await pass(5_000);
    expect(did()).toEqual(["suspend", "end", "stopped"]);
  });

  it("goes on asleep, by force or not, and across workers", async () => {
    const { sleeper, begin, pass, did, world } = await startWorld({
      idleTimeoutMs: 5_000,
      sleep: { asleep: true, generation: 3, idleSince: Date.now() - 4_000 },
      frozen: true,
    });
    await sleeper.adopt();
    expect(sleeper.asleep).toBe(true);
    begin();
    sleeper.wished({ generation: 3, asleep: true });
    sleeper.told(true, 0); // who was cut off by force
    await pass(999);
    expect(world.ended).toBe(false);
    await pass(1);
    expect(did()).toEqual(["freeze", "end", "stopped"]);
  });
});

describe("after a kill of the worker", () => {
  it.each([
    ["between suspending and freezing", undefined, false, []],
    ["between freezing and writing", undefined, true, ["freeze", "keep asleep found"]],
    ["asleep", { asleep: true, generation: 0 }, true, ["freeze"]],
    ["between thawing and writing", { asleep: true, generation: 0 }, false, ["keep awake found"]],
  ])("%s, the freezer tells", async (_when, sleep, frozen, expected) => {
    const { sleeper, did, world } = await startWorld({ sleep, frozen });
    await sleeper.adopt();
    expect(did()).toEqual(expected);
    expect(sleeper.asleep).toBe(frozen);
    expect(world.record.sleep?.asleep ?? false).toBe(frozen);
  });
});

it("keeps attachments and sleep apart", async () => {
  const { sleeper, begin, pass, did } = await startWorld({ sleepAfterMs: 1_000 });
  begin();
  const attached = Promise.withResolvers<void>();
  const attaching = sleeper.undisturbed(() => attached.promise, stop.current.signal);
  sleeper.told(false, 1_000);
  await pass(5_000);
  expect(did()).toEqual([]);
  attached.resolve();
  await attaching;
  await pass(0);
  expect(did()).toEqual(ASLEEP);
});
