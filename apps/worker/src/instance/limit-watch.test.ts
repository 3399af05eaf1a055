import { describe, expect, it } from "vitest";
import { LimitWatch } from "./limit-watch.ts";

const MIB = 1024 * 1024;
const SPEC = { limits: { cpuMillis: 1_000, memoryMiB: 256, pids: 300 }, diskMiB: 64 };

function look(oomKills: number, pidsRefusals: number, usedMiB: number) {
  return { counters: { oomKills, pidsRefusals }, disk: { sizeBytes: 64 * MIB, usedBytes: usedMiB * MIB } };
}

describe("a watch of limits", () => {
  it("tells each of what happened once, with the limit in words", () => {
    const watch = new LimitWatch(true);
    const types = (...args: Parameters<typeof look>) => watch.look(look(...args), SPEC).map(({ type }) => type);
    expect(types(0, 0, 0)).toEqual([]);
    expect(watch.look(look(2, 0, 0), SPEC)).toEqual([
      {
        type: "oom_kill",
        detail: {
          message: "out of memory: the kernel killed 2 processes of the sandbox",
          kills: 2,
          memoryMib: 256,
        },
      },
    ]);
    expect(types(2, 0, 0)).toEqual([]);
    expect(types(3, 7, 0)).toEqual(["oom_kill", "pids_limit"]);
    expect(types(3, 9, 0)).toEqual([]); // the same flood goes on
    expect(types(3, 9, 0)).toEqual([]);
    expect(types(3, 10, 0)).toEqual(["pids_limit"]);
  });

  it("tells of a full disk again only when there was room meanwhile", () => {
    const watch = new LimitWatch(true);
    const types = (usedMiB: number) => watch.look(look(0, 0, usedMiB), SPEC).map(({ type }) => type);
    expect([59, 62, 64, 58, 62, 50, 62].map(types)).toEqual([[], ["disk_full"], [], [], [], [], ["disk_full"]]);
  });

  it("takes what it finds first of a sandbox that ran before for told", () => {
    const watch = new LimitWatch(false);
    expect(watch.look(look(4, 4, 64), SPEC)).toEqual([]);
    expect(watch.look(look(5, 4, 64), SPEC).map(({ type }) => type)).toEqual(["oom_kill"]);
  });
});
