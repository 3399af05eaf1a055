// Whose addresses are our own: this machine's and the fleet's, as they are now.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { formatCidr } from "@sallyport/policy";
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

describe("OwnAddresses", () => {
  it("are those of the machine's interfaces", () => {
    const own = new OwnAddresses({ clock, fleetFile: undefined });
    const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    expect(addresses.length).toBeGreaterThan(0);
    expect(own.cidrs).toHaveLength(addresses.length);
    expect(own.cidrs.map(formatCidr)).toContain("127.0.0.1/32");
  });

  it("follow both the machine and the fleet's file", async () => {
    let machine = ["198.51.100.1"];
    const fleetFile = join(directory, "fleet.cidrs");
    const own = new OwnAddresses({ clock, fleetFile, read: () => machine });
    const now = () => own.cidrs.map(formatCidr);
    expect(now()).toEqual(["198.51.100.1/32"]);
    await writeFile(fleetFile, "198.51.100.2/32\n2001:db8::2/128\nnonsense\nfe80::1%eth0\n");
    machine = [];
    expect(now()).toEqual(["198.51.100.1/32"]);
    clock.pass(1000);
    expect(now()).toEqual(["198.51.100.2/32", "2001:db8::2/128"]);
    await rm(fleetFile);
    clock.pass(1000);
    expect(now()).toEqual(["198.51.100.2/32", "2001:db8::2/128"]);
    await writeFile(fleetFile, "");
    clock.pass(1000);
    expect(now()).toEqual([]);
  });
});
