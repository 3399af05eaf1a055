// Sleep as the worker and callers see it. SIGSTOP of the real init stands for the freezer: it answers nothing.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import type { WatchInstancesResponse } from "@sallyport/contracts";
import { EndReason } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { openPort } from "@sallyport/dataplane";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChildGateway } from "./child-gateway.ts";
import { output, startFakeInit } from "./fake-init.ts";
import type { IoClient } from "./harness.ts";
import { addressOf, attachInstance, eventually, Harness, idOf, MIB, refusal } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

type Event = NonNullable<WatchInstancesResponse["event"]>;

let harness: Harness;
let init: RealInit;
let io: IoClient;
let worker: ReturnType<typeof watchEvents>;

beforeEach(async () => {
  harness = await Harness.start();
  init = await startRealInit();
  io = await harness.ready({ number: 1, ...init });
  worker = watchEvents();
});

afterEach(async () => {
  io.close();
  worker.stop();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
});

/** Everything that the worker is told of instance 1. */
function watchEvents() {
  const events: Event[] = [];
  const stop = new AbortController();
  const { control } = harness;
  const watching = (async () => {
    for await (const told of callServerStream(control, control.watchInstances, {}, { signal: stop.signal })) {
      if (told.instanceId === idOf("in", 1) && told.event !== undefined) events.push(told.event);
    }
  })();
  watching.catch(() => events.splice(0)); // cut by `stop`
  const busy = () => events.flatMap((event) => (event.$case === "activity" ? [event.value.busy] : []));
  return {
    events,
    /** Each told activity, in order. */
    busy,
    idle: () => eventually("idle", () => busy().at(-1) === false),
    wakeWanted: () => eventually("a wish to wake", () => events.some((event) => event.$case === "wakeWanted")),
    stop: () => stop.abort(),
  };
}

async function suspend(force = false): Promise<void> {
  await callUnary(harness.control, harness.control.suspendInstance, { instanceId: idOf("in", 1), force });
}

async function resume(): Promise<void> {
  await callUnary(harness.control, harness.control.resumeInstance, { instanceId: idOf("in", 1) });
}

/** What the worker does: suspend, then freeze. */
async function sleep(force = false): Promise<void> {
  await suspend(force);
  process.kill(init.pid, "SIGSTOP");
}

async function wake(): Promise<void> {
  process.kill(init.pid, "SIGCONT");
  await resume();
}

/** Wakes as soon as the gateway asks for it. */
async function wakeOnDemand(): Promise<void> {
  await worker.wakeWanted();
  await wake();
}

describe("use", () => {
  it("is told when it begins and when it has ended, for calls, execs and connections", async () => {
    await worker.idle();
    await io.start("runs", ["sh", "-c", "read line"], { stdin: true });
    await eventually("busy", () => worker.busy().at(-1) === true);
    expect(await refusal(suspend())).toBe("FailedPrecondition");
    await io.write("runs", 0, "go\n");
    await io.wait("runs");
    await worker.idle();
    await suspend();
  });

  it("is told a few times for hundreds of calls", async () => {
    await worker.idle();
    await io.start("true", ["true"]);
    for (let call = 0; call < 300; call += 1) await io.wait("true", 0);
    await worker.idle();
    expect(worker.busy().length).toBeLessThan(12);
  });
});

describe("a sleeping instance", () => {
  it("is woken by an exec, which goes on as if nothing had been", async () => {
    await worker.idle();
    await sleep();
    const started = io.start("hi", ["echo", "hi"]);
    await wakeOnDemand();
    await started;
    expect(await io.text("hi")).toBe("hi\n");
  });

  it("is woken by a reader, though the spool has what it wants", async () => {
    await io.start("said", ["echo", "said"]);
    await io.wait("said");
    await worker.idle();
    await sleep();
    const text = io.text("said");
    await wakeOnDemand();
    expect(await text).toBe("said\n");
  });

  it("is woken by a connection", async () => {
    const service = createServer((socket) => socket.end("served"));
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    harness.ports.set(`${addressOf(1)}:8080`, (service.address() as AddressInfo).port);
    await worker.idle();
    await sleep();
    const ids = { instanceId: idOf("in", 1), sandboxId: idOf("sb", 1) };
    const opening = openPort(harness.config.openSocket, { ...ids, port: 8080, grantPort: 8080 });
    await wakeOnDemand();
    const stream = await opening;
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    stream.destroy();
    expect(Buffer.concat(chunks).toString()).toBe("served");
    await worker.idle();
    await close(service);
  });

  it("holds nobody who goes away, and tells a worker that comes later who waits", async () => {
    await worker.idle();
    await sleep();
    const stop = new AbortController();
    const reading = Array.fromAsync(io.read("none", { signal: stop.signal }));
    await worker.wakeWanted();
    const later = watchEvents();
    await later.wakeWanted();
    later.stop();
    stop.abort();
    await expect(reading).rejects.toThrow();
    await worker.idle();
    const latest = watchEvents();
    await latest.idle();
    expect(latest.events.map(({ $case }) => $case)).toEqual(["activity"]);
    latest.stop();
    await wake();
    expect(await refusal(io.wait("none"))).toBe("NotFound exec_id");
  });

  it("stalls what was under way when it was put to sleep by force, and wakes for none of it", async () => {
    await io.start("cat", ["cat"], { stdin: true });
    await io.write("cat", 0, "before ");
    const text = io.text("cat");
    const waiting = io.wait("cat");
    await sleep(true);
    expect(worker.events.some((event) => event.$case === "wakeWanted")).toBe(false);
    await wake();
    await io.write("cat", 7, "after", true);
    expect(await text).toBe("before after");
    expect(await waiting).toMatchObject({ exitCode: 0 });
  });

  it("kills an exec whose lifetime passes meanwhile when it wakes, not before", async () => {
    await io.start("late", ["sleep", "100"], { lifetimeMs: 300 });
    await sleep(true);
    const record = join(harness.config.stateDirectory, "spool", idOf("in", 1), "late", "record.jsonl");
    await eventually("the end of its lifetime", () => readFileSync(record, "utf8").includes('"timedOut":true'));
    const waiting = io.wait("late");
    await worker.wakeWanted();
    await wake();
    expect(await waiting).toEqual({ reason: EndReason.TIMEOUT, exitCode: 124 });
  });

  it("lets those who wait read the output, or says that it has ended, when it is detached", async () => {
    await io.start("said", ["echo", "said"]);
    await io.wait("said");
    await worker.idle();
    await sleep();
    const text = io.text("said");
    const starting = refusal(io.start("more", ["true"]));
    await worker.wakeWanted();
    await harness.detach(1);
    expect(await text).toBe("said\n");
    expect(await starting).toBe("SandboxEnded");
    process.kill(init.pid, "SIGCONT");
  });

  it("is met anew when its connection did not survive", async () => {
    await io.start("cat", ["cat"], { stdin: true });
    await sleep(true);
    // A gateway that is restarted meanwhile; the worker attaches it as what it is.
    await harness.stopGateway();
    await harness.startGateway();
    io.close();
    await attachInstance(harness.control, 1, init.secret, 5_000, true);
    await harness.open(1);
    io = await harness.io(1);
    worker.stop();
    worker = watchEvents();
    const writing = io.write("cat", 0, "hello", true);
    await wakeOnDemand();
    expect(await writing).toMatchObject({ acceptedOffset: 5 });
    expect(await io.text("cat")).toBe("hello");
  });

  it("is suspended and resumed again without harm, and resumed by an attachment", async () => {
    await worker.idle();
    await sleep();
    await suspend();
    await wake();
    await resume();
    await io.start("one", ["true"]);
    await io.wait("one");
    await worker.idle();
    await suspend();
    await harness.attach({ number: 1, ...init });
    expect(await io.wait("one")).toMatchObject({ exitCode: 0 });
  });
});

it("does not listen to an init that talks on after it should be frozen", async () => {
  let sent = 0;
  let connections = 0;
  await using talker = await startFakeInit(async (connection) => {
    connections += 1;
    await connection.greet();
    await connection.startOne();
    const frame = Buffer.alloc(4_096);
    for (;;) {
      if (!connection.socket.writable) return;
      connection.send(output(1, sent, frame));
      sent += frame.length;
      await connection.expect(4); // acknowledged
    }
  });
  const talking = await harness.ready({ number: 2, ...talker });
  await talking.start("talk", ["x"]);
  const instanceId = idOf("in", 2);
  await callUnary(harness.control, harness.control.suspendInstance, { instanceId, force: true });
  let before = -1;
  await eventually(
    "silence",
    async () => {
      const quiet = before === sent;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return quiet;
    },
    10_000,
  );
  await io.start("other", ["true"]); // the neighbour
  await callUnary(harness.control, harness.control.resumeInstance, { instanceId });
  await eventually("its voice again", () => sent > before + MIB);
  expect(connections).toBe(1);
  talking.close();
});

it("kill -9 of the gateway while its instance sleeps: what was said can be read, and it wakes", {
  timeout: 60_000,
}, async () => {
  await using gateway = await ChildGateway.start();
  await gateway.io.start("said", ["echo", "said"]);
  await gateway.io.wait("said");
  const ids = { instanceId: idOf("in", 1) };
  const { control } = gateway;
  await callUnary(control, control.suspendInstance, { ...ids, force: true });
  gateway.stopInit();
  await gateway.kill();
  await gateway.fork();
  await gateway.makeReadyAsleep();
  const reading = gateway.io.text("said");
  const stop = new AbortController();
  for await (const told of callServerStream(control, control.watchInstances, {}, { signal: stop.signal })) {
    if (told.event?.$case === "wakeWanted") break;
  }
  gateway.continueInit();
  await callUnary(control, control.resumeInstance, ids);
  expect(await reading).toBe("said\n");
  await gateway.io.start("more", ["echo", "more"]);
  expect(await gateway.io.text("more")).toBe("more\n");
});

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
