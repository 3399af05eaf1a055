// The journal on a file system that is really full.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../system/command.ts";
import { openJournal } from "./journal.ts";

const RECORD = {
  version: 1,
  instanceId: "in-01j00000000000000000000001",
  containerId: "bx-01j00000000000000000000001",
  sandboxId: "sb-01j00000000000000000000001",
  generation: 1,
  phase: "running",
  seq: 3,
  at: 1_800_000_000_000,
  bootId: "boot",
  networkGeneration: 1,
} as const;
const OPTIONS = { reserveBytes: 256 * 1024, restoreAfterMs: 0 };

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-full-"));
  await run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", directory]);
});

afterEach(async () => {
  await run(["umount", directory]);
  await rm(directory, { recursive: true });
});

describe("a journal on a full disk", () => {
  it("goes on in its reserve, and puts it back when there is room", async () => {
    const records = join(directory, "records");
    await mkdir(records);
    const journal = await openJournal(records, OPTIONS);
    await journal.save(RECORD);
    const filler = join(directory, "filler");
    await expect(writeFile(filler, Buffer.alloc(1024 * 1024))).rejects.toMatchObject({ code: "ENOSPC" });
    await journal.save({ ...RECORD, seq: 4 });
    expect(await readdir(directory)).not.toContain("records.reserve");
    expect((await journal.load()).records).toEqual([{ ...RECORD, seq: 4 }]);
    await rm(filler);
    await journal.save({ ...RECORD, seq: 5 });
    expect(await readdir(directory)).toContain("records.reserve");
    expect((await journal.load()).records).toEqual([{ ...RECORD, seq: 5 }]);
  });
});
