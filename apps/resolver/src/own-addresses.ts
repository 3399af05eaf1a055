// The addresses of this machine and of the fleet's others, read anew as they change.

import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Clock } from "@sallyport/appkit/clock";
import { type Cidr, PolicyError, parseCidr } from "@sallyport/policy";

/** How old what we know may be. Reading costs some 100 microseconds. */
const FRESH_MS = 1000;

export interface OwnAddressesOptions {
  readonly clock: Clock;
  /** A file of CIDRs, one a line, that the worker writes as the fleet changes. It may be missing. */
  readonly fleetFile: string | undefined;
  /** This machine's addresses, as text. The operating system's word when unset. */
  readonly read?: (() => readonly string[]) | undefined;
}

/** Whoever asks gets what was true within the last second. */
export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  #known: readonly Cidr[] = [];
  #fleet: readonly string[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  get cidrs(): readonly Cidr[] {
    const { clock, read = machineAddresses } = this.#options;
    const now = clock.monotonicMs();
    if (now - this.#readAtMs >= FRESH_MS) {
      this.#fleet = this.#readFleet();
      this.#known = [...read(), ...this.#fleet].flatMap(parse);
      this.#readAtMs = now;
    }
    return this.#known;
  }

  /** A file that cannot be read takes nothing back. */
  #readFleet(): readonly string[] {
    const { fleetFile } = this.#options;
    if (fleetFile === undefined) return [];
    try {
      return readFileSync(fleetFile, "utf8").split("\n");
    } catch {
      return this.#fleet; // the worker has not heard of a fleet yet, or is just replacing the file
    }
  }
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) => entries?.map((entry) => entry.address) ?? []);
}

/** What is no CIDR is left out: an address with a zone is in never-reachable space anyway, an empty line is none. */
function parse(text: string): Cidr[] {
  try {
    return [parseCidr(text)];
  } catch (error) {
    if (error instanceof PolicyError) return [];
    throw error;
  }
}
