// The two ways in which the kernel gets a slot's rules: as text with the whole table, and as messages. They must come to
// the same, whatever the order of changes, and a change by anybody else must not go unseen.

import { randomBytes } from "node:crypto";
import { compile, type NetworkPolicy, type NetworkRules } from "@sallyport/policy";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { helperPath } from "../../test/network/world.ts";
import { run } from "../system/command.ts";
import { slotAddresses } from "./addresses.ts";
import { NftSession } from "./apply.ts";
import { RouterRules } from "./rules.ts";

const ID = "01jqz3v5t8k2m4n6p8r0s2v4w6";
const NAMESPACE = `tw${randomBytes(4).toString("hex")}-rules`;
const OWN = ["198.51.100.1/32", "2001:db8::1/128"];

let session: NftSession;
let rules: RouterRules;

beforeAll(async () => {
  await run(["ip", "netns", "add", NAMESPACE]);
  session = new NftSession({ helper: helperPath(), netnsPath: `/run/netns/${NAMESPACE}` });
});

afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await run(["ip", "netns", "del", NAMESPACE]);
});

beforeEach(async () => {
  rules = new RouterRules({ session, gatewayUid: 977 });
  await rules.load([], OWN);
});

async function inside(...argv: string[]): Promise<string> {
  return (await run(["nsenter", `--net=/run/netns/${NAMESPACE}`, ...argv])).stdout;
}

/** The table as it is listed, its parts in an order that does not depend on how they came. */
async function listed(): Promise<string> {
  const text = await inside("nft", "list", "table", "inet", "sallyport");
  const blocks = text.split(/\n(?=\t(?:set|map|chain|limit) )/).map((block) =>
    block
      .replaceAll(/packets \d+ bytes \d+/g, "")
      .split(/[\n,{}]/)
      .map((line) => line.trim())
      .filter(Boolean),
  );
  // Rules keep their order; elements have none.
  return blocks
    .map((block) => (block[0]?.startsWith("chain") ? block : block.sort()).join("\n"))
    .sort()
    .join("\n\n");
}

const slot = (number: number, policy: NetworkPolicy, grants: readonly string[] = []) => ({
  addresses: slotAddresses(ID, number),
  mark: number + 1,
  rules: compile(policy, grants),
});

const POLICIES: readonly (readonly [policy: NetworkPolicy, grants: readonly string[]])[] = [
  ["open", []],
  ["blocked", []],
  [{ allow: [] }, []],
  [{ allow: ["198.51.100.0/25", "198.51.100.192/26", "2001:db8::/32"] }, []],
  [{ allow: ["0.0.0.0/0", "::/0"] }, []],
  [{ allow: ["10.1.0.0/16", "fd00:1::/64", "198.51.100.7"] }, ["10.0.0.0/8", "fd00::/16"]],
  [
    {
      allow: [
        { cidr: "198.51.100.0/24", protocol: "tcp", ports: [80, [8000, 8010]] },
        { cidr: "198.51.100.128/25", ports: [53] },
        { cidr: "2001:db8::/64", protocol: "udp", ports: [[1, 65_535]] },
        { cidr: "198.51.100.0/26", protocol: "icmp" },
        { cidr: "2001:db8::/64", protocol: "icmp" },
        { cidr: "10.1.0.0/16", protocol: "tcp" },
        "2001:db8:1::/48",
      ],
    },
    ["10.0.0.0/8"],
  ],
];

describe("messages and text", () => {
  it.each(POLICIES)("come to the same for a slot that joins: %j", async (policy, grants) => {
    const one = slot(3, policy, grants);
    await rules.add(slot(2, "open"));
    await rules.add(one);
    const byMessages = await listed();
    await rules.reload();
    expect(await listed()).toBe(byMessages);
    expect(byMessages).toContain("out_3");
  });

  it("come to the same after every change from one policy to another", async () => {
    await rules.add(slot(3, "blocked"));
    for (const [from, withGrants] of POLICIES) {
      for (const [to, grants] of POLICIES) {
        await rules.setRules(3, compile(from, withGrants));
        await rules.setRules(3, compile(to, grants));
        const byMessages = await listed();
        await rules.reload();
        expect(await listed()).toBe(byMessages);
      }
    }
  });

  it("leave nothing of a slot that leaves", async () => {
    const empty = await listed();
    for (const [policy, grants] of POLICIES) {
      await rules.add(slot(3, policy, grants));
      await rules.remove(3);
    }
    await rules.remove(3);
    expect(await listed()).toBe(empty);
  });

  it("come to the same for other own addresses", async () => {
    await rules.setOwnAddresses(["198.51.100.2/31", "2001:db8::2/128"]);
    const byMessages = await listed();
    expect(byMessages).toContain("198.51.100.2/31");
    expect(byMessages).not.toContain("198.51.100.1\n");
    await rules.reload();
    expect(await listed()).toBe(byMessages);
  });

  it("of many entries fit", async () => {
    const allow = Array.from({ length: 1000 }, (_, at) => `198.51.${at >> 6}.${(at % 64) * 4}/31`);
    await rules.add(slot(3, { allow }));
    expect((await inside("nft", "list", "set", "inet", "sallyport", "reach4_3")).match(/\/31/g)).toHaveLength(1000);
    await rules.setRules(3, compile({ allow: allow.slice(500) }, []));
    expect((await inside("nft", "list", "set", "inet", "sallyport", "reach4_3")).match(/\/31/g)).toHaveLength(500);
  });
});

describe("more than one transaction takes", () => {
  const MANY = 220;
  /** As many rules as there may be, as long as they can be. */
  const longest = compile(
    {
      allow: Array.from({ length: 256 }, (_, at) => ({
        cidr: `2001:db8:1111:2222:3333:4444:${(0x1000 + at).toString(16)}:8000/113`,
        protocol: "udp" as const,
        ports: [1, 2, 3, 4].map((port) => [port * 10_000, port * 10_000 + 1] as const),
      })),
    },
    [],
  );
  const crowd = Array.from({ length: MANY }, (_, at) => ({ ...slot(at + 10, "open"), rules: longest }));
  const links = async (): Promise<number> =>
    (await inside("nft", "list", "map", "inet", "sallyport", "life")).split('"slot').length - 1;

  it("is loaded all the same, again and again", { timeout: 120_000 }, async () => {
    expect(longest.portRules).toHaveLength(1024);
    await rules.load([slot(3, "blocked"), ...crowd, slot(4, "open")], OWN);
    expect(await links()).toBe(MANY + 2);
    expect(await rules.intact()).toBe(true);
    await inside("nft", "flush", "ruleset");
    await rules.setRules(3, compile("open", []));
    expect(await links()).toBe(MANY + 2);
    expect(await rules.intact()).toBe(true);
    const boxes = await inside("nft", "list", "set", "inet", "sallyport", `ports6_${MANY + 9}`);
    expect(boxes.match(/udp/g)).toHaveLength(1024);
  });
});

/** Boxes that overlap: the kernel's sets refuse them. */
const OVERLAPPING: NetworkRules = {
  ...compile({ allow: [{ cidr: "198.51.100.0/24", protocol: "tcp", ports: [80] }] }, []),
  portRules: ["198.51.100.0", "198.51.100.9"].map((first) => ({
    family: 4,
    first,
    last: "198.51.100.99",
    protocol: "tcp",
    fromPort: 1,
    toPort: 100,
    granted: false,
  })),
};

describe("a change", () => {
  it("that the kernel refuses changes nothing, and the next one works", async () => {
    await rules.add(slot(3, { allow: ["198.51.100.0/25"] }));
    const before = await listed();
    await expect(rules.setRules(3, OVERLAPPING)).rejects.toMatchObject({ code: "RulesNotApplied" });
    await expect(rules.add({ ...slot(4, "open"), rules: OVERLAPPING })).rejects.toMatchObject({
      code: "RulesNotApplied",
    });
    expect(await listed()).toBe(before);
    expect(await rules.intact()).toBe(true);
    await rules.setRules(3, compile("open", []));
    expect(await rules.intact()).toBe(true);
  });

  it("by somebody else is seen, and undone by the next of ours", async () => {
    await rules.add(slot(3, "blocked"));
    const before = await listed();
    for (const words of [
      ["flush", "chain", "inet", "sallyport", "forward"],
      ["add", "element", "inet", "sallyport", "reach4_3", "{ 198.51.100.0/24 }"],
      ["delete", "element", "inet", "sallyport", "never4", "{ 169.254.0.0/16 }"],
      ["add", "table", "inet", "another"],
      ["flush", "ruleset"],
    ]) {
      expect(await rules.intact()).toBe(true);
      await inside("nft", ...words);
      expect(await rules.intact()).toBe(false);
      await rules.setRules(3, compile("open", []));
      await rules.setRules(3, compile("blocked", []));
      expect(await rules.intact()).toBe(true);
      expect(await listed()).toBe(before);
    }
  });

  it("after the helper's death loads what should be there", async () => {
    await rules.add(slot(3, "blocked"));
    process.kill(session.pid ?? 0, "SIGKILL");
    await expect.poll(() => session.pid).toBeUndefined();
    await rules.setRules(3, compile("open", []));
    expect(await inside("nft", "list", "set", "inet", "sallyport", "askers4")).toContain('"slot3"');
    expect(await rules.intact()).toBe(true);
  });
});

describe("denials", () => {
  it("are counted by slot", async () => {
    await rules.add(slot(3, "blocked"));
    expect([await rules.denials(3), await rules.denials(4)]).toEqual([0, undefined]);
  });
});
