// kill -9 of the gateway in the middle of everything: nothing is lost, nothing comes twice, deadlines and exit codes hold.
import { createHash } from "node:crypto";
import { EndReason, OutputStream } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChildGateway, succeeds } from "./child-gateway.ts";
import type { IoClient } from "./harness.ts";
import { eventually, idOf, MIB } from "./harness.ts";

let gateway: ChildGateway;
let io: IoClient;

beforeEach(async () => {
  gateway = await ChildGateway.start();
  io = gateway.io;
});

afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
});

/** Reads as the SDK does: from the offset reached, again and again, until the end. */
async function readThrough(
  execId: string,
  take: (chunk: Buffer) => void,
  stream: OutputStream = OutputStream.STDOUT,
): Promise<number> {
  let offset = 0;
  let breaks = 0;
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    try {
      for await (const { event } of io.read(execId, { offset, stream })) {
        if (event?.$case === "gap") throw new TypeError(`a gap up to ${event.value.offset}`);
        if (event?.$case === "end") {
          expect(event.value.offset).toBe(offset);
          return breaks;
        }
        if (event?.$case !== "chunk") continue;
        expect(event.value.offset).toBe(offset);
        take(event.value.data);
        offset += event.value.data.length;
      }
    } catch (error) {
      if (error instanceof TypeError) throw error;
      breaks += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error("no end in time");
}

describe("kill -9 of the gateway", { timeout: 60_000 }, () => {
  it("loses and repeats no line of a counter, and knows the exit code", { timeout: 120_000 }, async () => {
    const script =
      "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.02; done; exit 9";
    await io.start("counter", ["sh", "-c", script]);
    let text = "";
    const reading = readThrough("counter", (chunk) => {
      text += chunk.toString();
    });
    for (let round = 1; round <= 2; round += 1) {
      await eventually("progress", () => text.length > round * 1_500, 30_000);
      await gateway.restart();
    }
    expect(await reading).toBeGreaterThan(0);
    expect(text).toBe(Array.from({ length: 3_000 }, (_, index) => `${index}\n`).join(""));
    expect(await io.wait("counter")).toEqual({ reason: EndReason.EXITED, exitCode: 9 });
  });

  it("brings 64 MiB through two kills by checksum", { timeout: 120_000 }, async () => {
    const bytes = 64 * MIB;
    // The same bytes on both outputs: what differs was lost or came twice.
    const script = `exec 3>&2; head -c ${bytes} /dev/urandom | tee /dev/fd/3`;
    await io.start("flood", ["sh", "-c", script]);
    const hash = createHash("sha256");
    let total = 0;
    const reading = readThrough("flood", (chunk) => {
      hash.update(chunk);
      total += chunk.length;
    });
    const other = createHash("sha256");
    const readingOther = readThrough("flood", (chunk) => other.update(chunk), OutputStream.STDERR);
    for (let round = 1; round <= 2; round += 1) {
      await eventually("progress", () => total > (round * bytes) / 4, 60_000);
      await gateway.restart();
    }
    await Promise.all([reading, readingOther]);
    expect(total).toBe(bytes);
    expect(hash.digest("hex")).toBe(other.digest("hex"));
  });

  it("holds a deadline that passes meanwhile", async () => {
    await io.start("late", ["sleep", "100"], { lifetimeMs: 400 });
    await gateway.restart();
    expect(await io.wait("late")).toEqual({ reason: EndReason.TIMEOUT, exitCode: 124 });
  });

  it("goes on with input where init stands", async () => {
    await io.start("cat", ["cat"], { stdin: true });
    await io.write("cat", 0, "before ");
    await gateway.restart();
    expect(await io.write("cat", 0, "before after", true)).toMatchObject({ acceptedOffset: 12 });
    expect(await io.text("cat")).toBe("before after");
  });

  it("keeps what a detached instance wrote", async () => {
    await io.start("said", ["echo", "last words"]);
    await io.start("runs", ["sleep", "100"]);
    await io.wait("said");
    const { control } = gateway;
    await callUnary(control, control.detachInstance, { instanceId: idOf("in", 1) });
    await gateway.kill();
    await gateway.fork();
    await eventually("the output", async () => await succeeds(io.text("said")));
    expect(await io.text("said")).toBe("last words\n");
    expect(await io.wait("runs")).toEqual({ reason: EndReason.TERMINATED, exitCode: 137 });
  });
});
