// Whose addresses are our own: this machine's and the fleet's, as they are now.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "@sallyport/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../test/clock.ts";
import { OwnAddresses } from "./own-addresses.ts";

let directory: string;
let clock: ManualClock;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-resolver-"));
  clock = new ManualClock();
});

afterEach(() => rm(directory, { recursive: true }));

/** Which of the addresses are our own now. */
function which(own: OwnAddresses, ...addresses: readonly string[]): string[] {
  return addresses.filter((text) => {
    const address = parseAddress(text);
    if (address === undefined) throw new Error(text);
    return own.ranges.has(address.family, address.value);
  });
}

describe("OwnAddresses", () => {
  it("are those of the machine's interfaces", () => {
    const own = new OwnAddresses({ clock, fleetFile: undefined });
    const entries = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
    const addresses = entries.map((entry) => entry.address).filter((address) => !address.includes("%"));
    expect(addresses).toContain("127.0.0.1");
    expect(which(own, ...addresses, "198.51.100.77")).toEqual(addresses);
  });

  it("follow both the machine and the fleet's file", async () => {
    let machine = ["198.51.100.1"];
    const fleetFile = join(directory, "fleet.cidrs");
    const own = new OwnAddresses({ clock, fleetFile, read: () => machine });
    const now = () => which(own, "198.51.100.1", "198.51.100.2", "198.51.100.99", "2001:db8::2");
    expect(now()).toEqual(["198.51.100.1"]);
    await writeFile(fleetFile, "198.51.100.2/32\n2001:db8::2/128\nnonsense\nfe80::1%eth0\n198.51.100.96/29\n");
    machine = [];
    expect(now()).toEqual(["198.51.100.1"]);
    clock.pass(1000);
    expect(now()).toEqual(["198.51.100.2", "198.51.100.99", "2001:db8::2"]);
    await rm(fleetFile);
    clock.pass(1000);
    expect(now()).toEqual(["198.51.100.2", "198.51.100.99", "2001:db8::2"]);
    await writeFile(fleetFile, "");
    clock.pass(1000);
    expect(now()).toEqual([]);
  });
});
