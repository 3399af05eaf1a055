// Inits in a tenant's hands: each breaks the protocol in its own way, is cut off, told to the worker, and harms nobody
// else.
import { callServerStream } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GatewayConnection } from "./fake-init.ts";
import {
  exit,
  inputAccepted,
  output,
  outputEnd,
  pong,
  processRecord,
  SECRET,
  started,
  startFakeInit,
  welcome,
} from "./fake-init.ts";
import type { IoClient } from "./harness.ts";
import { eventually, Harness, idOf, MIB, refusal } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

let harness: Harness;
let honest: RealInit;
let honestIo: IoClient;
let nextNumber = 10;

beforeAll(async () => {
  harness = await Harness.start({ streamBytes: MIB, instanceBytes: 4 * MIB });
  honest = await startRealInit();
  honestIo = await harness.ready({ number: 1, ...honest });
});

afterAll(async () => {
  honestIo.close();
  await harness[Symbol.asyncDispose]();
  await honest[Symbol.asyncDispose]();
});

/** The failure that the worker is told of an instance. */
async function failureOf(number: number): Promise<string> {
  const stop = AbortSignal.timeout(10_000);
  const { control } = harness;
  for await (const told of callServerStream(control, control.watchInstances, {}, { signal: stop })) {
    if (told.instanceId === idOf("in", number) && told.event?.$case === "initFailed") return told.event.value.message;
  }
  return "";
}

async function othersWork(): Promise<void> {
  const id = `other-${nextNumber}`;
  await honestIo.start(id, ["echo", "fine"]);
  expect(await honestIo.text(id)).toBe("fine\n");
}

const zeros = (bytes: number) => Buffer.alloc(bytes);
/** 256 KiB and a frame more than anybody acknowledged. */
const beyondRing = Array.from({ length: 9 }, (_, index) => output(1, index * 32_768, zeros(32_768)));

describe("an init that, once it runs a process,", () => {
  it.each<[string, RegExp, (connection: GatewayConnection) => void]>([
    ["sends garbage", /frame/, (c) => c.send(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))],
    ["announces a huge frame", /bytes/, (c) => c.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x85]))],
    ["sends a type of ours", /unknown frame type 2/, (c) => c.send(Buffer.from([0, 0, 0, 1, 2, 0]))],
    ["skips bytes of an output", /at 5, where 0/, (c) => c.send(output(1, 5, zeros(1)))],
    ["repeats bytes of an output", /at 0, where 4/, (c) => c.send(output(1, 0, zeros(4)), output(1, 0, zeros(4)))],
    ["sends more than its ring holds", /acknowledged/, (c) => c.send(...beyondRing)],
    ["writes after the end", /not asked for/, (c) => c.send(outputEnd(1, 0), output(1, 0, zeros(1)))],
    ["ends an output elsewhere", /where 0 comes next/, (c) => c.send(outputEnd(1, 9))],
    ["ends an output twice, differently", /two places/, (c) => c.send(outputEnd(1, 0), outputEnd(1, 1))],
    ["writes for a process that does not exist", /does not exist/, (c) => c.send(output(2, 0, zeros(1)))],
    ["ends a process that does not exist", /does not exist/, (c) => c.send(exit(2, 0))],
    ["ends a process twice", /other exit/, (c) => c.send(exit(1, 0), exit(1, 1))],
    ["ends a process by no signal", /signal 0/, (c) => c.send(exit(1, 0, 1))],
    ["starts what nobody asked for", /nobody asked/, (c) => c.send(started("mine", 2))],
    ["gives a second handle", /second handle/, (c) => c.send(started("run", 2))],
    ["accepts input that was never sent", /input accepted/, (c) => c.send(inputAccepted(1, 10 * MIB))],
    ["answers a ping that was never sent", /never sent/, (c) => c.send(pong(1))],
    ["greets twice", /in the middle/, (c) => c.send(welcome())],
    [
      "floods with frames that say nothing",
      /flood/,
      (c) => c.send(...Array.from({ length: 20_000 }, () => exit(1, 0))),
    ],
  ])("%s is cut off, and alone", async (_what, message, misbehave) => {
    nextNumber += 1;
    const number = nextNumber;
    await using init = await startFakeInit(async (connection) => {
      await connection.greet();
      await connection.startOne();
      misbehave(connection);
    });
    const io = await harness.ready({ number, ...init });
    await io.start("run", ["x"]);
    expect(await failureOf(number)).toMatch(message);
    expect(await refusal(io.start("more", ["x"]))).toBe("SandboxEnded");
    await eventually("the cut", () => init.connections() === 0);
    await othersWork();
    expect(init.problems).toEqual([]);
    await harness.detach(number);
    expect(await refusal(io.start("more", ["x"]))).toBe("SandboxEnded");
    expect(await io.wait("run")).toBeDefined();
    io.close();
  });
});

describe("an init that, at the greeting,", () => {
  it.each<[string, string, (connection: GatewayConnection) => Promise<void> | void]>([
    ["says nothing", "Unavailable", () => {}],
    ["closes", "Unavailable", (c) => void c.socket.end()],
    ["never finishes its list", "Unavailable", (c) => c.send(welcome(2), processRecord("a", 1, { start: 0, end: 0 }))],
    ["claims a larger ring", "SandboxEnded", (c) => c.send(welcome(0, MIB))],
    [
      "lists a process twice",
      "SandboxEnded",
      (c) => c.send(welcome(2), ...["a", "a"].map((id, n) => processRecord(id, n, { start: 0, end: 0 }))),
    ],
    ["lists fewer than it said", "SandboxEnded", (c) => c.send(welcome(1), exit(1, 0))],
    ["drips garbage", "SandboxEnded", (c) => c.send(Buffer.from([0, 0, 0, 9, 0x80]))],
  ])("%s is not believed", async (_what, refused, greet) => {
    nextNumber += 1;
    await using init = await startFakeInit(greet);
    expect(await refusal(harness.attach({ number: nextNumber, ...init }, 300))).toBe(refused);
    await harness.detach(nextNumber);
    await othersWork();
  });

  it.each([
    ["forgets a process", welcome()],
    ["lost bytes of it", Buffer.concat([welcome(1), processRecord("run", 1, { start: 9, end: 9 })])],
    ["takes bytes back", Buffer.concat([welcome(1), processRecord("run", 1, { start: 0, end: 2 })])],
  ])("%s after a reconnection is cut off", async (_what, second) => {
    nextNumber += 1;
    const number = nextNumber;
    let connections = 0;
    await using init = await startFakeInit(async (connection) => {
      connections += 1;
      if (connections > 1) {
        connection.send(second);
        return;
      }
      await connection.greet();
      await connection.startOne();
      connection.send(output(1, 0, Buffer.from("abcd")));
      await connection.expect(4);
      connection.socket.destroy();
    });
    const io = await harness.ready({ number, ...init });
    await io.start("run", ["x"]);
    expect(await failureOf(number)).not.toBe("");
    expect(connections).toBe(2);
    io.close();
    await harness.detach(number);
  });
});

it("does not let an init grow the gateway: a flood with no reader is bounded by the spool", async () => {
  nextNumber += 1;
  const number = nextNumber;
  let acked = 0;
  await using init = await startFakeInit(async (connection) => {
    await connection.greet();
    await connection.startOne();
    const frame = zeros(32_768);
    for (let offset = 0; offset < 32 * MIB; offset += frame.length) {
      connection.send(output(1, offset, frame));
      while (offset + frame.length - acked > 200_000) {
        acked = Number((await connection.expect(4)).readBigUInt64BE(5));
      }
    }
    connection.send(outputEnd(1, 32 * MIB), outputEnd(1, 0, 2), exit(1, 0));
  });
  const io = await harness.ready({ number, port: init.port, secret: SECRET });
  await io.start("flood", ["x"]);
  expect(await io.wait("flood")).toMatchObject({ exitCode: 0 });
  const [first] = await Array.fromAsync(io.read("flood", { follow: false }), ({ event }) => event);
  expect(first?.$case).toBe("gap");
  expect(first?.$case === "gap" ? 32 * MIB - first.value.offset : 0).toBeLessThanOrEqual(MIB + 64 * 1024);
  expect(init.problems).toEqual([]);
  io.close();
});
