import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { InstanceRecord } from "../instance/record.ts";
import { openJournal } from "./journal.ts";

const RECORD: InstanceRecord = {
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
  slot: 4,
  initSecret: "ab".repeat(32),
  lifetimeEndsAt: 1_800_000_060_000,
  spec: {
    imageDigest: `sha256:${"0".repeat(64)}`,
    limits: { cpuMillis: 500, memoryMiB: 256, pids: 256 },
    lifetimeMs: 60_000,
    command: ["/bin/true"],
    env: { KEY: "value" },
    workdir: "/",
    network: {
      generation: 1,
      rules: { mode: "open", allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] },
    },
  },
};

let directory: string;

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "sallyport-journal-")), "instances");
});

afterEach(async () => {
  await rm(join(directory, ".."), { recursive: true });
});

describe("the journal", () => {
  it("gives back what was saved last, for root's eyes alone, until it is removed", async () => {
    const journal = await openJournal(directory);
    await journal.save({ ...RECORD, phase: "claiming" });
    await journal.save(RECORD);
    const path = join(directory, `${RECORD.instanceId}.json`);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await (await openJournal(directory)).load()).toEqual({ records: [RECORD], unreadable: new Set() });
    await journal.remove(RECORD.instanceId);
    await journal.remove(RECORD.instanceId);
    expect(await readdir(directory)).toEqual([]);
  });

  it("names damaged records and drops half-written ones", async () => {
    const journal = await openJournal(directory);
    const damaged = "in-01j00000000000000000000002";
    const renamed = "in-01j00000000000000000000003";
    await writeFile(join(directory, `${damaged}.json`), "{");
    await writeFile(join(directory, `${renamed}.json`), JSON.stringify(RECORD));
    await writeFile(join(directory, `${RECORD.instanceId}.json.new`), "{");
    await writeFile(join(directory, "note.txt"), "");
    expect(await journal.load()).toEqual({ records: [], unreadable: new Set([damaged, renamed]) });
    expect(await readdir(directory)).not.toContain(`${RECORD.instanceId}.json.new`);
  });
});
