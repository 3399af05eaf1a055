// Which addresses join the never set, what is told to the fleet, and what of the fleet is believed.

import { silentLogger } from "@sallyport/appkit/logger";
import { beforeEach, describe, expect, it } from "vitest";
import { OwnAddresses, type OwnAddressesOptions } from "./own-addresses.ts";

let machine: string[];
let kept: readonly string[];
let told: (readonly string[])[];
let set: (readonly string[])[];
const rules = {
  setOwnAddresses: async (cidrs: readonly string[]): Promise<void> => void set.push(cidrs),
};

function options(changes: Partial<OwnAddressesOptions> = {}): OwnAddressesOptions {
  return {
    journal: {
      fleet: async () => [...kept],
      setFleet: async (cidrs) => {
        kept = cidrs;
      },
    },
    read: async () => machine,
    platform: ["fd12:3456::/48"],
    logger: silentLogger,
    onChange: (cidrs) => void told.push(cidrs),
    ...changes,
  };
}

beforeEach(() => {
  machine = ["10.0.0.5/32", "127.0.0.0/8", "169.254.64.1/32", "198.51.100.1/32", "::1/128", "2001:db8::1/128"];
  kept = [];
  told = [];
  set = [];
});

describe("own addresses", () => {
  it("are the machine's, the fleet's and the platform's, merged", async () => {
    kept = ["198.51.100.0/32", "10.0.0.5/32"];
    const own = await OwnAddresses.open(options());
    expect(own.all()).toEqual([
      "10.0.0.5/32",
      "127.0.0.0/8",
      "169.254.64.1/32",
      "198.51.100.0/31",
      "::1/128",
      "2001:db8::1/128",
      "fd12:3456::/48",
    ]);
  });

  it("are told to the fleet without those that mean the same everywhere", async () => {
    const own = await OwnAddresses.open(options());
    expect(own.machine()).toEqual(["10.0.0.5/32", "198.51.100.1/32", "2001:db8::1/128"]);
  });

  it("are followed, and told again only where they differ", async () => {
    const own = await OwnAddresses.open(options());
    await own.refresh(rules);
    machine = [...machine, "127.1.0.1/32"];
    await own.refresh(rules);
    expect(told).toEqual([]);
    machine = ["198.51.100.9/32"];
    await own.refresh(rules);
    expect(told).toEqual([["198.51.100.9/32"]]);
    expect(set.at(-1)).toEqual(["198.51.100.9/32", "fd12:3456::/48"]);
  });

  it("of the fleet are kept before they are in force, and what is none is left out", async () => {
    const own = await OwnAddresses.open(options());
    const failing = { setOwnAddresses: () => Promise.reject(new Error("refused")) };
    const cidrs = ["198.51.100.64/26", "2001:db8:7::/64", "198.51.100.1/24", "evil }", "", "2001:db8:7::/65"];
    await expect(own.setFleet(cidrs, failing)).rejects.toThrow("refused");
    expect(kept).toEqual(["198.51.100.64/26", "2001:db8:7::/64"]);
    expect((await OwnAddresses.open(options())).all()).toEqual(own.all());
    await own.refresh(rules);
    expect(set.at(-1)).toContain("198.51.100.64/26");
    await own.setFleet([], rules);
    expect([kept, set.at(-1)?.includes("198.51.100.64/26")]).toEqual([[], false]);
  });
});
