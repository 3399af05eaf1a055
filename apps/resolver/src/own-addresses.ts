// The addresses of this machine, read anew as they change, and those of the platform's other machines.

import { networkInterfaces } from "node:os";
import type { Clock } from "@sallyport/appkit/clock";
import { type Cidr, PolicyError, parseCidr } from "@sallyport/policy";

/** How old what we know may be. Reading costs some 50 microseconds. */
const FRESH_MS = 1000;

export interface OwnAddressesOptions {
  readonly clock: Clock;
  /** Text of addresses of either family. The machine's own when unset. */
  readonly read?: () => readonly string[];
}

/** Whoever asks gets what was true within the last second. */
export class OwnAddresses {
  readonly #clock: Clock;
  readonly #read: () => readonly string[];
  #known: readonly Cidr[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OwnAddressesOptions) {
    this.#clock = options.clock;
    this.#read = options.read ?? machineAddresses;
  }

  get cidrs(): readonly Cidr[] {
    const now = this.#clock.monotonicMs();
    if (now - this.#readAtMs >= FRESH_MS) {
      this.#known = this.#read().flatMap(parse);
      this.#readAtMs = now;
    }
    return this.#known;
  }
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) => entries?.map((entry) => entry.address) ?? []);
}

/** What is no plain address (one with a zone) is in never-reachable space anyway. */
function parse(text: string): Cidr[] {
  try {
    return [parseCidr(text)];
  } catch (error) {
    if (error instanceof PolicyError) return [];
    throw error;
  }
}
