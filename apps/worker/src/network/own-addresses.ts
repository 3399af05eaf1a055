// What is never reachable beside the fixed table: this machine's own addresses, which are read, and those of the fleet's
// other machines, which the api tells and the journal keeps.

import type { Logger } from "@sallyport/appkit/logger";
import { type Cidr, cidrContains, formatCidr, mergeCidrs, NEVER_REACHABLE, parseCidr } from "@sallyport/policy";
import type { Journal } from "./journal.ts";
import type { RouterRules } from "./rules.ts";

const NEVER = NEVER_REACHABLE.map(({ cidr }) => parseCidr(cidr));

export interface OwnAddressesOptions {
  readonly journal: Pick<Journal, "fleet" | "setFleet">;
  /** Those of the machine, as canonical CIDRs. */
  readonly read: () => Promise<readonly string[]>;
  /** The platform's own, whatever the machine has. */
  readonly platform: readonly string[];
  readonly logger: Logger;
  /** The machine's are others now. */
  readonly onChange?: ((cidrs: readonly string[]) => void) | undefined;
}

export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  #machine: readonly string[];
  #fleet: readonly string[];

  private constructor(options: OwnAddressesOptions, machine: readonly string[], fleet: readonly string[]) {
    this.#options = options;
    this.#machine = machine;
    this.#fleet = fleet;
  }

  /** With what the machine has now, and what the journal knows of the fleet. */
  static async open(options: OwnAddressesOptions): Promise<OwnAddresses> {
    const [machine, fleet] = await Promise.all([options.read(), options.journal.fleet()]);
    return new OwnAddresses(options, machine, canonical(fleet).cidrs);
  }

  /** All of them, merged. */
  all(): readonly string[] {
    const { v4, v6 } = mergeCidrs([...this.#machine, ...this.#fleet, ...this.#options.platform]);
    return [...v4, ...v6];
  }

  /** The machine's, for the fleet's others: without those that mean the same everywhere, such as loopback. */
  machine(): readonly string[] {
    return this.#machine.filter((text) => {
      const cidr = parseCidr(text);
      return !NEVER.some((range) => cidrContains(range, cidr));
    });
  }

  /** Reads the machine's once more. */
  async refresh(rules: Pick<RouterRules, "setOwnAddresses">): Promise<void> {
    const before = this.machine().join();
    this.#machine = await this.#options.read();
    await rules.setOwnAddresses(this.all());
    if (this.machine().join() !== before) this.#options.onChange?.(this.machine());
  }

  /** Keeps what the api tells of the fleet, then puts it into the rules. What is no CIDR is left out. */
  async setFleet(cidrs: readonly string[], rules: Pick<RouterRules, "setOwnAddresses">): Promise<void> {
    const { cidrs: next, refused } = canonical(cidrs);
    if (refused > 0) this.#options.logger.error({ refused }, "the fleet has addresses that are none");
    if (next.join() !== this.#fleet.join()) await this.#options.journal.setFleet(next);
    this.#fleet = next;
    await rules.setOwnAddresses(this.all());
  }
}

function canonical(texts: readonly unknown[]): { readonly cidrs: readonly string[]; readonly refused: number } {
  const parsed = texts.map(parsedOrNothing).filter((cidr) => cidr !== undefined);
  const { v4, v6 } = mergeCidrs(parsed.map(formatCidr));
  return { cidrs: [...v4, ...v6], refused: texts.length - parsed.length };
}

function parsedOrNothing(text: unknown): Cidr | undefined {
  try {
    return parseCidr(text);
  } catch {
    return undefined; // said by the caller
  }
}
