// Much output: flat memory, exact bytes, and a slow reader that holds the writer back instead of losing anything.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ChildGateway } from "./child-gateway.ts";
import { chunkOf, eventually, Harness, MIB } from "./harness.ts";
import { startRealInit } from "./real-init.ts";

describe("output", { timeout: 60_000 }, () => {
  it("of 64 MiB flows exactly, in memory that does not grow with it", async () => {
    await using gateway = await ChildGateway.start();
    const { io } = gateway;
    const bytes = 64 * MIB;
    // Each 16 bytes tell where they are: a block that is lost, repeated or misplaced changes the checksum.
    const script = `seq -f '%015.0f' 0 ${bytes / 16 - 1}`;
    const startedAtMs = performance.now();
    await io.start("flood", ["sh", "-c", script]);
    const hash = createHash("sha256");
    let total = 0;
    let peakBytes = 0;
    for await (const response of io.read("flood")) {
      const chunk = chunkOf(response);
      hash.update(chunk);
      total += chunk.length;
      peakBytes = Math.max(peakBytes, gateway.residentBytes);
    }
    const seconds = (performance.now() - startedAtMs) / 1_000;
    console.log(`${(total / 1e6 / seconds).toFixed(0)} MB/s, ${Math.round(peakBytes / MIB)} MiB resident at most`);
    expect(total).toBe(bytes);
    const expected = createHash("sha256");
    for (let at = 0; at < bytes / 16; at += 4_096) {
      const lines = Array.from({ length: 4_096 }, (_, index) => `${String(at + index).padStart(15, "0")}\n`);
      expected.update(lines.join(""));
    }
    expect(hash.digest("hex")).toBe(expected.digest("hex"));
    expect(peakBytes).toBeLessThan(320 * MIB);
  });

  it("waits for a slow reader, and loses nothing", async () => {
    await using harness = await Harness.start({ streamBytes: MIB });
    await using init = await startRealInit();
    const io = await harness.ready({ number: 1, ...init });
    const lines = 600_000;
    await io.start("seq", ["sh", "-c", `read go; seq -f '%015.0f' 1 ${lines}; echo done >&2`], { stdin: true });
    const reading = io.read("seq");
    const first = reading.next();
    await io.write("seq", 0, "go\n");
    let total = chunkOf((await first).value ?? {}).length;
    // The reader rests: init may go on by what spool and buffers hold, and no further.
    await eventually("the writer's block", async () => {
      const before = await keptNow(io, "seq");
      await new Promise((resolve) => setTimeout(resolve, 200));
      return (await keptNow(io, "seq")) === before;
    });
    expect(await io.wait("seq", 0)).toBeUndefined();
    let last = "";
    for await (const { event } of reading) {
      if (event?.$case === "gap") throw new Error("a gap under a reader");
      if (event?.$case !== "chunk") continue;
      expect(event.value.offset).toBe(total);
      total += event.value.data.length;
      last = event.value.data.toString().slice(-16);
    }
    expect(total).toBe(lines * 16);
    expect(last).toBe(`${String(lines).padStart(15, "0")}\n`);
    expect(await io.wait("seq")).toMatchObject({ exitCode: 0 });
    io.close();
  });
});

/** How far the output is kept by now. */
async function keptNow(io: Awaited<ReturnType<Harness["io"]>>, execId: string): Promise<number> {
  let end = 0;
  for await (const { event } of io.read(execId, { follow: false, offset: 0 })) {
    if (event?.$case === "chunk") end = event.value.offset + event.value.data.length;
  }
  return end;
}
