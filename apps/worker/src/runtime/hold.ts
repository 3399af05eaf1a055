// Holds every sandbox and every build of a platform still, and lets them go on. A hold is nobody's sleep: whatever is
// frozen or thawed meanwhile is so only when the hold is over, and a worker that is killed leaves it in force.
import { type Cgroups, openCgroups } from "./runsc/cgroup.ts";

export interface Hold {
  /** Resolves when everything stands still. Throws RuntimeError; what could be stopped stays so. */
  begin(): Promise<void>;
  /** Lets everything go on that nothing else stops. Where nothing is held, it changes nothing. */
  end(): Promise<void>;
  /** Ends the hold for those who are all to die: they are killed first, so that none of them goes on. */
  endForDead(): Promise<void>;
}

/** `prefixes`: names of the cgroups, as `openCgroups` takes them. */
export function openHold(prefixes: readonly string[], mountPoint?: string): Hold {
  const all: readonly Cgroups[] = prefixes.map((prefix) =>
    openCgroups(mountPoint === undefined ? { prefix } : { prefix, mountPoint }),
  );
  let isHeld = false;
  const end = async () => {
    for (const cgroups of all) await cgroups.release();
    isHeld = false;
  };
  return {
    async begin() {
      isHeld = true;
      const results = await Promise.allSettled(all.map((cgroups) => cgroups.hold()));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
    end,
    async endForDead() {
      if (!isHeld) return;
      for (const cgroups of all) {
        for (const name of await cgroups.known()) await cgroups.kill(name);
      }
      await end();
    },
  };
}
