// The addresses of this machine and of the fleet's others, read anew as they change.

import { readFileSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Clock } from "@sallyport/appkit/clock";
import { PolicyError, parseCidr } from "@sallyport/policy";
import { AddressRanges } from "./address-ranges.ts";

/** How old what we know may be. Looking costs some 100 microseconds. */
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
  #ranges = new AddressRanges([]);
  #machine: readonly string[] = [];
  #fleet: readonly string[] = [];
  /** Which writing of the fleet's file we know. */
  #fleetVersion = "";
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  get ranges(): AddressRanges {
    const { clock, read = machineAddresses } = this.#options;
    const now = clock.monotonicMs();
    if (now - this.#lookedAtMs < FRESH_MS) return this.#ranges;
    this.#lookedAtMs = now;
    const machine = read();
    const isFleetNew = this.#readFleet();
    if (isFleetNew || machine.join() !== this.#machine.join()) {
      this.#machine = machine;
      this.#ranges = new AddressRanges([...machine, ...this.#fleet].filter(isCidr));
    }
    return this.#ranges;
  }

  /** Whether it is another one. A file that cannot be read takes nothing back. */
  #readFleet(): boolean {
    const { fleetFile } = this.#options;
    if (fleetFile === undefined) return false;
    try {
      const { ino, mtimeMs, size } = statSync(fleetFile);
      const version = `${ino} ${mtimeMs} ${size}`;
      if (version === this.#fleetVersion) return false;
      this.#fleet = readFileSync(fleetFile, "utf8").split("\n");
      this.#fleetVersion = version;
      return true;
    } catch {
      return false; // the worker has not heard of a fleet yet, or is just replacing the file
    }
  }
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) => entries?.map((entry) => entry.address) ?? []);
}

/** Others are left out: an address with a zone is in never-reachable space anyway, an empty line is none. */
function isCidr(text: string): boolean {
  try {
    parseCidr(text);
    return true;
  } catch (error) {
    if (error instanceof PolicyError) return false;
    throw error;
  }
}
