// What the journal gives back, and that damage closes rather than opens.

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "@sallyport/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BLOCKED, Journal } from "./journal.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-journal-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("Journal", () => {
  it("gives back what it was given, across openings", async () => {
    const journal = await Journal.open(join(directory, "network"));
    expect([await journal.lives(), await journal.uplinkIndex(), await journal.slots()]).toEqual([0, undefined, []]);
    const rules = compile({ allow: ["198.51.100.0/24"] }, []);
    await journal.setLives(12);
    await journal.setUplinkIndex(5);
    await journal.setSlot({ slot: 11, mark: 12, bound: true, rules });
    await journal.setSlot({ slot: 2, mark: 3, bound: false, rules: BLOCKED });
    const again = await Journal.open(join(directory, "network"));
    expect([await again.lives(), await again.uplinkIndex()]).toEqual([12, 5]);
    expect(await again.slots()).toEqual([
      { slot: 2, mark: 3, bound: false, rules: BLOCKED },
      { slot: 11, mark: 12, bound: true, rules },
    ]);
    await again.removeSlot(2);
    await again.removeSlot(2);
    expect(await again.slots()).toHaveLength(1);
    await again.remove();
    expect(await readdir(directory)).toEqual([]);
  });

  it.each([
    ["not JSON", "{"],
    ["an unknown mode", JSON.stringify({ mark: 3, bound: true, rules: { mode: "ajar" } })],
    [
      "bad CIDRs",
      JSON.stringify({ mark: 3, bound: true, rules: { ...compile("open", []), mode: "allow", allow4: ["::/0"] } }),
    ],
    ["no rules", JSON.stringify({ mark: 3, bound: true })],
  ])("closes a slot whose file holds %s", async (what, text) => {
    const journal = await Journal.open(directory);
    await writeFile(join(directory, "slots", "2.json"), text);
    const found = await journal.slots();
    expect(found).toEqual(what === "not JSON" ? [] : [{ slot: 2, mark: 3, bound: true, rules: BLOCKED }]);
  });

  it("drops what another boot left", async () => {
    const journal = await Journal.open(directory);
    await journal.setLives(12);
    await writeFile(join(directory, "boot.json"), JSON.stringify("another"));
    expect(await (await Journal.open(directory)).lives()).toBe(0);
  });
});
