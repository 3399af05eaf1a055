import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import { silentLogger } from "@sallyport/appkit/logger";
import { ID_PREFIXES } from "@sallyport/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Instances } from "./instances.ts";
import { makeFolder, newExecRecord, writeExecRecord, writeInstanceRecord } from "./spool/records.ts";

const HOUR_MS = 3_600_000;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-instances-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

let made = 0;

function newId(kind: "instance" | "sandbox"): string {
  made += 1;
  return `${ID_PREFIXES[kind]}-${String(made).padStart(26, "0")}`;
}

/** The spool of an instance that was detached so long ago, with so many processes. */
function leave(agoMs: number, processes: number): string {
  const instanceId = newId("instance");
  const folder = join(directory, "spool", instanceId);
  makeFolder(folder);
  const detachedAtMs = systemClock.now() - agoMs;
  writeInstanceRecord(folder, { version: 1, instanceId, sandboxId: newId("sandbox"), generation: 1, detachedAtMs });
  for (let number = 0; number < processes; number += 1) {
    const execId = `exec-${number}`;
    makeFolder(join(folder, execId));
    const given = { createdAtMs: detachedAtMs, fingerprint: "", deadlineAtMs: null };
    writeExecRecord(
      join(folder, execId),
      newExecRecord({ execId, argv: ["true"], pty: undefined, stdin: false }, given),
    );
  }
  return instanceId;
}

function open(retainedProcesses: number): Instances {
  return new Instances({
    stateDirectory: directory,
    bounds: { streamBytes: 1_024, instanceBytes: 1_024, readerGraceMs: 0 },
    retentionMs: HOUR_MS,
    retainedBytes: 1_024,
    retainedProcesses,
    initProgram: "/init",
    dial: () => Promise.reject(new Error("nobody is there")),
    clock: systemClock,
    logger: silentLogger,
  });
}

describe("Instances", () => {
  it("keeps detached ones while they know few processes together, and lets the oldest go beyond", async () => {
    const [oldest, middle, newest] = [leave(3_000, 4), leave(2_000, 0), leave(1_000, 2)];
    {
      await using all = open(9);
      expect([oldest, middle, newest].map((id) => all.find(id) !== undefined)).toEqual([true, true, true]);
    }
    await using fewer = open(8);
    expect([oldest, middle, newest].map((id) => fewer.find(id) !== undefined)).toEqual([false, true, true]);
  });

  it("lets those go whose time is over", async () => {
    const [old, young] = [leave(HOUR_MS + 1_000, 1), leave(HOUR_MS - 60_000, 1)];
    await using instances = open(100);
    expect(instances.find(old)).toBeUndefined();
    expect(instances.find(young)).toBeDefined();
  });
});
