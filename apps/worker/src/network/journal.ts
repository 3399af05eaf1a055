// What must outlive the worker: which slots exist with which rules, and how many lives were given out. Small files,
// each replaced whole. A reboot takes namespaces and rules away, so nothing here is older than the boot it names.

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NetworkRules } from "@sallyport/policy";
import { z } from "zod";
import { checkShape } from "./check-rules.ts";

export interface JournaledSlot {
  readonly slot: number;
  readonly mark: number;
  /** Handed out, or only prepared. */
  readonly bound: boolean;
  readonly rules: NetworkRules;
}

export const BLOCKED: NetworkRules = Object.freeze({
  mode: "blocked",
  allow4: [],
  allow6: [],
  granted4: [],
  granted6: [],
  portRules: [],
});

const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const SLOT_FILE = /^(\d+)\.json$/;

export class Journal {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Opens the journal in a directory of its own; what an earlier boot left is dropped. */
  static async open(directory: string): Promise<Journal> {
    const boot = (await readFile(BOOT_ID, "utf8")).trim();
    const journal = new Journal(directory);
    if ((await journal.#read("boot.json")) !== boot) {
      await rm(directory, { recursive: true, force: true });
      await mkdir(join(directory, "slots"), { recursive: true, mode: 0o700 });
      await journal.#write("boot.json", boot);
    }
    return journal;
  }

  /** Lives given out so far. */
  async lives(): Promise<number> {
    const value = await this.#read("lives.json");
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  }

  async setLives(lives: number): Promise<void> {
    await this.#write("lives.json", lives);
  }

  /** The uplink's subnet, once chosen. */
  async uplinkIndex(): Promise<number | undefined> {
    const value = await this.#read("uplink.json");
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  }

  async setUplinkIndex(index: number): Promise<void> {
    await this.#write("uplink.json", index);
  }

  /** Addresses of the fleet's machines, as they were told last. */
  async fleet(): Promise<string[]> {
    const value = await this.#read("fleet.json");
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  }

  async setFleet(cidrs: readonly string[]): Promise<void> {
    await this.#write("fleet.json", cidrs);
  }

  /** All slots. Rules that cannot be read any more come back as blocked; a slot without readable mark is left out. */
  async slots(): Promise<JournaledSlot[]> {
    const slots: JournaledSlot[] = [];
    for (const name of await readdir(join(this.#directory, "slots"))) {
      const match = SLOT_FILE.exec(name);
      if (match === null) continue;
      const entry = slotOf(Number(match[1]), await this.#read(join("slots", name)));
      if (entry !== undefined) slots.push(entry);
    }
    return slots.sort((left, right) => left.slot - right.slot);
  }

  async setSlot(entry: JournaledSlot): Promise<void> {
    await this.#write(join("slots", `${entry.slot}.json`), entry);
  }

  async removeSlot(slot: number): Promise<void> {
    await rm(join(this.#directory, "slots", `${slot}.json`), { force: true });
  }

  /** The whole journal goes. */
  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #read(name: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(join(this.#directory, name), "utf8"));
    } catch (error) {
      if (error instanceof SyntaxError || isMissing(error)) return undefined;
      throw error;
    }
  }

  async #write(name: string, value: unknown): Promise<void> {
    const path = join(this.#directory, name);
    await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function slotOf(slot: number, value: unknown): JournaledSlot | undefined {
  if (typeof value !== "object" || value === null || !("mark" in value) || typeof value.mark !== "number")
    return undefined;
  return {
    slot,
    mark: value.mark,
    bound: "bound" in value && value.bound === true,
    rules: "rules" in value ? rulesOf(value.rules) : BLOCKED,
  };
}

const cidrs = z.array(z.string());

const rulesShape = z.object({
  mode: z.enum(["open", "blocked", "allow"]),
  allow4: cidrs,
  allow6: cidrs,
  granted4: cidrs,
  granted6: cidrs,
  /** Unset in files of earlier versions, which had none. */
  portRules: z
    .array(
      z.object({
        family: z.literal([4, 6]),
        first: z.string(),
        last: z.string(),
        protocol: z.enum(["tcp", "udp", "icmp"]),
        fromPort: z.int(),
        toPort: z.int(),
        granted: z.boolean(),
      }),
    )
    .default([]),
});

/** Damaged rules are closed rules. */
function rulesOf(value: unknown): NetworkRules {
  const rules = rulesShape.safeParse(value);
  if (!rules.success) return BLOCKED;
  try {
    checkShape(rules.data);
    return rules.data;
  } catch {
    return BLOCKED;
  }
}
