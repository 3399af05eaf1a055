// Forwarding on the host, room for what is forwarded, and the care for connections that wait where a process stops to
// listen: switched on where they are off, and put back when the last platform on the machine leaves.
//
// A directory under /run, shared by all platforms of the machine, keeps one file per user and the values from before.

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CONNECTION_TABLE, makeRoomForConnections } from "./connection-room.ts";
import { isMissing } from "./journal.ts";
import { MIGRATION, migrateConnections } from "./migration.ts";
import { readSetting, settingNames, writeSetting } from "./settings.ts";

export const FORWARDING_DIRECTORY = "/run/sallyport-forwarding";
const BEFORE = "before.json";
const USER_PREFIX = "user-";

type Family = "ipv4" | "ipv6";

const MASTER: Readonly<Record<Family, string>> = { ipv4: "ipv4/ip_forward", ipv6: "ipv6/conf/all/forwarding" };

/** How the host was before the first platform switched it. */
interface Before {
  /** Values in the order in which they are put back: the master switches first, as they overwrite the others. */
  readonly settings: readonly (readonly [path: string, value: string])[];
  /** Interfaces that did not forward among themselves, by family; they still must not. */
  readonly closed: Readonly<Record<Family, readonly string[]>>;
}

export class Forwarding {
  readonly #directory: string;
  readonly #user: string;

  constructor(directory: string, tag: string) {
    this.#directory = directory;
    this.#user = join(directory, `${USER_PREFIX}${tag}`);
  }

  /**
   * Joins, and notes how the host is where nobody did so before. Answers which interfaces must go on not forwarding
   * among themselves once forwarding is on.
   */
  async remember(ignoredLink: string): Promise<Before["closed"]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFile(this.#user, "");
    const before = (await this.#before()) ?? (await this.#note(ignoredLink));
    return before.closed;
  }

  /** Switches all of it on, forwarding for both families, at first and where somebody undid it since. */
  async assert(): Promise<void> {
    await makeRoomForConnections();
    await migrateConnections();
    for (const family of ["ipv4", "ipv6"] as const) {
      if ((await readSetting(MASTER[family])) === "1") continue;
      if (family === "ipv6") await keepRouterAdvertisements();
      await writeSetting(MASTER[family], "1");
    }
  }

  /** Leaves; the last one to leave puts the earlier values back. Idempotent. */
  async release(): Promise<void> {
    await rm(this.#user, { force: true });
    const before = await this.#before();
    if (before === undefined || (await this.#hasUsers())) return;
    for (const [path, value] of before.settings) {
      const now = await readSetting(path);
      if (now !== undefined && now !== value) await writeSetting(path, value);
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #hasUsers(): Promise<boolean> {
    return (await readdir(this.#directory)).some((name) => name.startsWith(USER_PREFIX));
  }

  async #before(): Promise<Before | undefined> {
    try {
      const text = await readFile(join(this.#directory, BEFORE), "utf8");
      return JSON.parse(text) as Before;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #note(ignoredLink: string): Promise<Before> {
    const settings: [string, string][] = [];
    const closed: Record<Family, string[]> = { ipv4: [], ipv6: [] };
    for (const family of ["ipv4", "ipv6"] as const) {
      if ((await readSetting(MASTER[family])) === "1") continue;
      settings.push([MASTER[family], "0"]);
      const links = (await settingNames(`${family}/conf`)).filter((name) => name !== "all" && name !== ignoredLink);
      for (const link of links) {
        const path = `${family}/conf/${link}/forwarding`;
        // The master switch sets every interface; only those that differed from it need putting back.
        if ((await readSetting(path)) === "1") settings.push([path, "1"]);
        if (link !== "default" && link !== "lo") closed[family].push(link);
      }
      if (family === "ipv6") {
        for (const link of links) {
          const path = `ipv6/conf/${link}/accept_ra`;
          if ((await readSetting(path)) === "1") settings.push([path, "1"]);
        }
      }
    }
    for (const path of [CONNECTION_TABLE, MIGRATION]) {
      const value = await readSetting(path);
      if (value !== undefined) settings.push([path, value]);
    }
    const before = { settings, closed };
    await writeFile(join(this.#directory, BEFORE), JSON.stringify(before), { mode: 0o600 });
    return before;
  }
}

/** With forwarding on, accept_ra 1 means no and 2 means yes: a host that lives by router advertisements keeps them. */
async function keepRouterAdvertisements(): Promise<void> {
  for (const link of await settingNames("ipv6/conf")) {
    if (link === "all" || link === "default") continue;
    const path = `ipv6/conf/${link}/accept_ra`;
    if ((await readSetting(path)) === "1") await writeSetting(path, "2");
  }
}
