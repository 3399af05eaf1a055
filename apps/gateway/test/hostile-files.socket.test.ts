// The tool for files in a tenant's hands: each answers in its own wrong way; its caller is told, the link and its
// neighbours notice nothing. An init that lies about a tool's process loses its link as for any other.
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TO_INIT } from "../src/init/frames.ts";
import type { GatewayConnection } from "./fake-init.ts";
import { exit, inputAccepted, output, outputEnd, processRecord, started, startFakeInit, welcome } from "./fake-init.ts";
import type { IoClient } from "./harness.ts";
import { Harness, refusal } from "./harness.ts";

let harness: Harness;
let nextNumber = 10;

beforeAll(async () => {
  harness = await Harness.start();
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
});

function record(type: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(type);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, payload]);
}

interface InfoChanges {
  readonly type?: number;
  readonly mode?: number;
  readonly seconds?: bigint;
  readonly nanoseconds?: number;
  readonly nameBytes?: number;
}

function info(name = "", changes: InfoChanges = {}) {
  const payload = Buffer.alloc(27);
  payload.writeUInt8(changes.type ?? 1, 0);
  payload.writeUInt32BE(changes.mode ?? 0o644, 1);
  payload.writeBigInt64BE(changes.seconds ?? 0n, 13);
  payload.writeUInt32BE(changes.nanoseconds ?? 0, 21);
  payload.writeUInt16BE(changes.nameBytes ?? Buffer.byteLength(name), 25);
  return record(1, Buffer.concat([payload, Buffer.from(name)]));
}

function end(number: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64BE(BigInt(number));
  return record(3, payload);
}

const data = (text: string) => record(2, Buffer.from(text));
const error = (why: number, errno: number) => record(4, Buffer.from([why, 0, 0, 0, errno]));

/** One START of a tool, answered; its output is asked for. Gives its id. */
async function startTool(connection: GatewayConnection, handle: number): Promise<string> {
  const payload = await connection.expect(TO_INIT.start);
  const id = payload.toString("latin1", 1, 1 + payload.readUInt8(0));
  connection.send(started(id, handle));
  await connection.expect(TO_INIT.resume);
  return id;
}

/** An instance whose every tool answers with these bytes and then exits. */
async function withTool(answer: Buffer, use: (io: IoClient) => Promise<void>): Promise<void> {
  nextNumber += 1;
  const number = nextNumber;
  await using init = await startFakeInit(async (connection) => {
    await connection.greet();
    for (let handle = 1; ; handle += 1) {
      await startTool(connection, handle);
      if (answer.length > 0) connection.send(output(handle, 0, answer));
      connection.send(outputEnd(handle, answer.length), exit(handle, 0));
    }
  });
  const io = await harness.ready({ number, ...init });
  await use(io);
  expect(init.problems).toEqual([]);
  expect(init.connections()).toBe(1);
  io.close();
  await harness.detach(number);
}

describe("a tool that", () => {
  it.each<[string, Buffer]>([
    ["says nothing", Buffer.alloc(0)],
    ["stops within a record", info().subarray(0, 20)],
    ["never says the end", info()],
    ["has a record of no kind", record(9, Buffer.alloc(4))],
    ["announces an endless INFO", record(1, Buffer.alloc(27), 2 ** 32 - 1)],
    ["knows another type", Buffer.concat([info("", { type: 5 }), end(1)])],
    ["has no type", Buffer.concat([info("", { type: 0 }), end(1)])],
    ["has bits beyond the permissions", Buffer.concat([info("", { mode: 0o10000 }), end(1)])],
    ["has too many nanoseconds", Buffer.concat([info("", { nanoseconds: 1e9 }), end(1)])],
    ["miscounts a name", Buffer.concat([info("name", { nameBytes: 3 }), end(1)])],
    ["says more after the end", Buffer.concat([info(), end(1), info()])],
    ["tells of three files", Buffer.concat([info(), info(), info(), end(3)])],
    ["fails for no reason known", error(9, 1)],
  ])("%s is not believed", async (_what, answer) => {
    await withTool(answer, async (io) => {
      expect(await refusal(io.stat("/x"))).toBe("FailedPrecondition");
      expect(await refusal(io.stat("/x"))).toBe("FailedPrecondition");
    });
  });

  it("ends a file elsewhere, or gives more than was asked for, is not believed", async () => {
    await withTool(Buffer.concat([info(), data("abc"), end(4)]), async (io) => {
      expect(await refusal(io.fileBytes("/x"))).toBe("FailedPrecondition");
    });
    await withTool(Buffer.concat([info(), data("abc"), end(3)]), async (io) => {
      expect((await io.fileBytes("/x")).toString()).toBe("abc");
      expect(await refusal(io.fileBytes("/x", { length: 2 }))).toBe("FailedPrecondition");
    });
    await withTool(Buffer.concat([data("abc"), info(), end(3)]), async (io) => {
      expect(await refusal(io.fileBytes("/x"))).toBe("FailedPrecondition");
    });
  });

  it.each(["", ".", "..", "a/b", "nul\0"])("lists %j is not believed", async (name) => {
    await withTool(Buffer.concat([info(name), end(1)]), async (io) => {
      expect(await refusal(io.list("/x"))).toBe("FailedPrecondition");
    });
  });

  it("says that a file is whole before it is, is not believed", async () => {
    await withTool(end(7), async (io) => {
      expect(await refusal(io.writeFile("/x", "abc"))).toBe("FailedPrecondition");
    });
  });

  it.each<[bigint, number, string]>([
    [-1n, 500_000_000, "1969-12-31T23:59:59Z"],
    [-(2n ** 63n), 1, "0001-01-01T00:00:00Z"],
    [2n ** 63n - 1n, 999_999_999, "9999-12-31T23:59:59.999Z"],
    [1n, 500_000_000, "1970-01-01T00:00:01.500Z"],
  ])("dates a file %d s and %d ns after 1970 tells of a time that all can read", async (seconds, nanoseconds, time) => {
    await withTool(Buffer.concat([info("", { seconds, nanoseconds }), end(1)]), async () => {
      const rest = new RestClient(harness.httpPort);
      const token = await harness.token(nextNumber);
      const answer = await rest.call("GET", "/v1/files/stat?path=/x", { token });
      expect(answer).toMatchObject({ status: 200, json: { file: { modifiedAt: time } } });
    });
  });

  it("says errno is translated, whatever it says", async () => {
    await withTool(error(0, 28), async (io) => {
      expect(await refusal(io.stat("/x"))).toBe("ResourceExhausted path");
    });
    await withTool(error(0, 255), async (io) => {
      expect(await refusal(io.stat("/x"))).toBe("FailedPrecondition path");
    });
  });
});

describe("an init that, about a tool,", () => {
  it.each<[string, (connection: GatewayConnection, id: string) => void]>([
    ["skips bytes", (c) => c.send(output(1, 5, Buffer.alloc(1)))],
    ["ends elsewhere", (c) => c.send(outputEnd(1, 9))],
    ["writes to the other output", (c) => c.send(output(1, 0, Buffer.alloc(1), 2))],
    ["accepts input that was never sent", (c) => c.send(inputAccepted(1, 10_000_000))],
    ["ends it twice", (c) => c.send(exit(1, 0), exit(1, 0))],
    ["starts it twice", (c, id) => c.send(started(id, 2))],
    ["starts one that nobody asked for", (c) => c.send(started("__mine", 2))],
  ])("%s is cut off", async (_what, misbehave) => {
    nextNumber += 1;
    const number = nextNumber;
    await using init = await startFakeInit(async (connection) => {
      await connection.greet();
      misbehave(connection, await startTool(connection, 1));
    });
    const io = await harness.ready({ number, ...init });
    const reading = refusal(io.fileBytes("/x"));
    expect(["Unavailable", "FailedPrecondition"]).toContain(await reading);
    expect(await refusal(io.stat("/x"))).toBe("SandboxEnded");
    io.close();
    await harness.detach(number);
  });

  it("still has those of an earlier link is told to stop and to forget them", async () => {
    nextNumber += 1;
    const seen: string[] = [];
    await using init = await startFakeInit(async (connection) => {
      await connection.expect(TO_INIT.hello);
      connection.send(welcome(1), processRecord("__left-behind", 7, { start: 0, end: 0 }));
      const signal = await connection.expect(TO_INIT.signal);
      seen.push(`signal ${signal.readUInt32BE(0)} ${signal.readUInt8(4)}`);
      connection.send(exit(7, 15, 1));
      seen.push(`forget ${(await connection.expect(TO_INIT.forget)).readUInt32BE(0)}`);
      await startTool(connection, 8);
      connection.send(output(8, 0, Buffer.concat([info(), end(1)])), outputEnd(8, 37 + 13 - 5), exit(8, 0));
    });
    const io = await harness.ready({ number: nextNumber, ...init });
    expect(await io.stat("/x")).toMatchObject({ path: "/x" });
    expect(seen).toEqual(["signal 7 15", "forget 7"]);
    expect(await io.execs()).toEqual([]);
    io.close();
    await harness.detach(nextNumber);
  });
});
