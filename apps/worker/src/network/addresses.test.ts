// Names and addresses: short enough, disjoint, stable.

import { cidrContains, cidrsOverlap, parseCidr } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import {
  firstUplinkIndex,
  platformNames,
  SLOT_COUNT,
  slotAddresses,
  UPLINK_COUNT,
  uplinkAddresses,
} from "./addresses.ts";

const ID = "01jqz3v5t8k2m4n6p8r0s2v4w6";

describe("platformNames", () => {
  it("fits what the kernel allows", () => {
    const names = platformNames(ID);
    expect(names).toMatchObject({ tag: "r0s2v4w6", routerNetns: "sp-r0s2v4w6", hostLink: "spur0s2v4w6" });
    expect(names.hostLink.length).toBeLessThanOrEqual(15);
    expect(slotAddresses(ID, SLOT_COUNT - 1).routerLink.length).toBeLessThanOrEqual(15);
    expect(cidrContains(parseCidr("fd00::/8"), parseCidr(names.ula))).toBe(true);
    expect(cidrsOverlap(parseCidr("fd00::/16"), parseCidr(names.ula))).toBe(false);
  });

  it.each(["", "01JQZ3V5T8K2M4N6P8R0S2V4W6", "../../etc/passwd0000000000", `${ID}x`])("refuses %j", (id) => {
    expect(() => platformNames(id)).toThrow(expect.objectContaining({ code: "SetupFailed" }));
  });
});

describe("slotAddresses", () => {
  it("counts in /30s and /64s", () => {
    expect(slotAddresses(ID, 0)).toMatchObject({
      routerIpv4: "100.64.0.1",
      ipv4: "100.64.0.2",
      netns: "sp-r0s2v4w6-0",
    });
    expect(slotAddresses(ID, 64)).toMatchObject({ routerIpv4: "100.64.1.1", ipv4: "100.64.1.2" });
    expect(slotAddresses(ID, SLOT_COUNT - 1).ipv4).toBe("100.64.255.254");
    expect(slotAddresses(ID, 255).ipv6).toMatch(/^fd[0-9a-f:]+:ff::2$/);
  });

  it("never meets another slot or the uplink", () => {
    const all = [0, 1, 2, 255, 256, SLOT_COUNT - 1].map((slot) => slotAddresses(ID, slot));
    expect(new Set(all.flatMap((slot) => [slot.ipv4, slot.routerIpv4])).size).toBe(12);
    const subnets = all.map((slot) => slot.ipv6.replace(/::2$/, ""));
    expect(subnets).not.toContain(uplinkAddresses(ID, 0).hostIpv6.replace(/::1$/, ""));
    expect(new Set(subnets).size).toBe(6);
  });

  it("has hardware addresses that belong to nobody, and to no group", () => {
    const all = [0, 1, 255, 256, SLOT_COUNT - 1].map((slot) => slotAddresses(ID, slot));
    expect(all[2]).toMatchObject({ mac: "02:5a:11:00:ff:02", routerMac: "02:5a:11:00:ff:01" });
    expect(new Set(all.flatMap(({ mac, routerMac }) => [mac, routerMac])).size).toBe(10);
  });

  it.each([-1, 1.5, SLOT_COUNT, Number.NaN])("has no slot %d", (slot) => {
    expect(() => slotAddresses(ID, slot)).toThrow(expect.objectContaining({ code: "NoSuchSlot" }));
  });
});

describe("uplinkAddresses", () => {
  it("stays inside 169.254.64.0/18", () => {
    const range = parseCidr("169.254.64.0/18");
    for (const index of [0, 1, UPLINK_COUNT - 1, firstUplinkIndex(ID)]) {
      expect(cidrContains(range, parseCidr(uplinkAddresses(ID, index).subnet4))).toBe(true);
    }
    expect(uplinkAddresses(ID, 1)).toMatchObject({ hostIpv4: "169.254.64.5", routerIpv4: "169.254.64.6" });
  });
});
