import { afterEach, describe, expect, it } from "vitest";
import { start } from "../../system/command.ts";
import { identify, isAlive, isTaken, killProcess, processesNaming } from "./processes.ts";

const WORD = `in-${String(process.pid).padStart(26, "0")}`;
let child: ReturnType<typeof start> | undefined;

afterEach(() => {
  child?.kill("SIGKILL");
});

describe("a process of the host", () => {
  it("is known by its number and its start, and found by a word of its arguments", async () => {
    child = start([process.execPath, "-e", "setTimeout(() => {}, 60_000)", `/state/${WORD}/bundle`]);
    const pid = child.pid ?? 0;
    const exited = new Promise((resolve) => child?.once("exit", resolve));
    const identity = await identify(pid);
    if (identity === undefined) throw new Error("not there");
    expect(identity.pid).toBe(pid);
    expect(isTaken(pid)).toBe(true);
    expect(await isAlive(identity)).toBe(true);
    expect(await isAlive({ ...identity, startTicks: identity.startTicks - 1 })).toBe(false);
    await expect.poll(() => processesNaming(WORD)).toEqual([identity]);
    expect(await processesNaming(WORD.slice(0, -1))).toEqual([]);
    await killProcess({ ...identity, startTicks: identity.startTicks - 1 });
    expect(await isAlive(identity)).toBe(true);
    await killProcess(identity);
    await exited;
    expect(await isAlive(identity)).toBe(false);
    expect(await identify(pid)).toBeUndefined();
    expect(isTaken(pid)).toBe(false);
  });
});
