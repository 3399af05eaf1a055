// The rules as text: what must be in them, what must never be, and rule data that is refused.

import { compile, type NetworkRules } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { slotAddresses } from "./addresses.ts";
import {
  BASE_CHAIN_RULES,
  checkRules,
  type RouterSlot,
  renderAddSlot,
  renderChangeRules,
  renderNever,
  renderRemoveSlot,
  renderTable,
} from "./nftables.ts";

const ID = "01jqz3v5t8k2m4n6p8r0s2v4w6";

function slot(number: number, rules: NetworkRules, revision = 1): RouterSlot {
  return { addresses: slotAddresses(ID, number), mark: number + 1, rules, revision };
}

/** Rules of a chain, without its declaration. */
function chain(text: string, name: string): string[] {
  const body = new RegExp(`chain ${name} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\n {2}\\}`).exec(text)?.[1] ?? "";
  const lines = body.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("type ") && !line.startsWith("#"));
}

describe("renderTable", () => {
  const text = renderTable({ gatewayUid: 977, ownAddresses: ["198.51.100.1/32", "2001:db8::1/128"], slots: [] });

  it("replaces what is there in one transaction", () => {
    expect(text.startsWith("table inet sallyport\ndelete table inet sallyport\ntable inet sallyport {")).toBe(true);
  });

  it("drops by default wherever packets come by", () => {
    for (const hook of ["prerouting", "input", "output", "forward"]) {
      expect(text).toMatch(new RegExp(`type filter hook ${hook} priority (raw|filter); policy drop;`));
    }
  });

  it("holds the never set before any verdict, with the host's own addresses", () => {
    const rules = chain(text, "outbound");
    expect(rules.slice(0, 2)).toEqual(["ip daddr @never4 counter drop", "ip6 daddr @never6 counter drop"]);
    expect(rules.at(-1)).toBe("drop");
    expect(text).toMatch(/set never4 \{[^}]*169\.254\.0\.0\/16[^}]*198\.51\.100\.1\/32/);
    expect(text).toMatch(/set never6 \{[^}]*2001:db8::1\/128/);
  });

  it("lets only the gateway's user out towards slots", () => {
    const rules = chain(text, "output");
    expect(rules).toContain("meta skuid != 977 drop");
    expect(
      rules.filter((rule) => rule.includes("accept") && !rule.includes("icmpv6") && !rule.includes('"lo"')),
    ).toEqual(["ct state related accept", "ct state { new, established } oifname . ct mark @live accept"]);
  });

  it("lets only the resolver's user answer look-ups, and nobody where there is none", () => {
    const resolver = { uid: 978, queriesPerSecond: 100 };
    expect(
      chain(renderTable({ gatewayUid: 977, resolver, ownAddresses: [], slots: [] }), "answers").slice(0, 2),
    ).toEqual(["meta skuid != 978 drop", "tcp flags & (syn | ack) == syn drop"]);
    expect(chain(text, "answers")[0]).toBe("drop");
  });

  it("has the rules that the watcher counts", () => {
    const counted = Object.fromEntries(Object.keys(BASE_CHAIN_RULES).map((name) => [name, chain(text, name).length]));
    expect(counted).toEqual(BASE_CHAIN_RULES);
  });
});

describe("slots", () => {
  it("join with their verdicts", () => {
    expect(renderAddSlot(slot(3, compile("blocked", [])))).toBe(
      [
        'add element inet sallyport bind4 { "slot3" . 100.64.0.14 }',
        `add element inet sallyport bind6 { "slot3" . ${slotAddresses(ID, 3).ipv6} }`,
        'add element inet sallyport life { "slot3" : 4 }',
        'add element inet sallyport live { "slot3" . 4 }',
        'add element inet sallyport egress { "slot3" : drop }',
        'add element inet sallyport ingress { "slot3" : drop }',
        "",
      ].join("\n"),
    );
    expect(renderAddSlot(slot(3, compile("open", [])))).toContain('egress { "slot3" : goto open_out }');
  });

  it("with an allow list have sets and chains of their own, granted before private before allowed", () => {
    const rules = compile({ allow: ["198.51.100.0/24", "10.1.0.0/16"] }, ["10.0.0.0/8"]);
    const text = renderAddSlot(slot(3, rules, 7));
    expect(chain(text, "out_3_7")).toEqual([
      "ip daddr @granted4_3_7 accept",
      "ip daddr @private4 counter drop",
      "ip6 daddr @private6 counter drop",
      "ip daddr @allow4_3_7 accept",
      "counter drop",
    ]);
    expect(text).not.toContain("allow6_3_7");
  });

  it("may ask the resolver at their own router's address where they are open, and only there", () => {
    const open = slot(3, compile("open", []));
    const asker = 'askers4 { "slot3" . 100.64.0.14 . 100.64.0.13 }';
    expect(renderAddSlot(open)).toContain(`add element inet sallyport ${asker}`);
    expect(renderChangeRules(open, slot(3, compile("blocked", []), 2))).toContain(
      `delete element inet sallyport ${asker}`,
    );
    expect(renderRemoveSlot(open)).toContain(`delete element inet sallyport ${asker}`);
    for (const policy of ["blocked", { allow: ["198.51.100.0/24"] }] as const) {
      expect(renderAddSlot(slot(3, compile(policy, [])))).not.toContain("askers");
    }
  });

  it("change and leave without leftovers", () => {
    const before = slot(3, compile({ allow: ["198.51.100.0/24"] }, []), 7);
    const change = renderChangeRules(before, slot(3, compile("open", []), 8));
    expect(change).toContain("delete chain inet sallyport out_3_7");
    expect(change).toContain("delete set inet sallyport allow4_3_7");
    expect(change.indexOf("delete element")).toBeLessThan(change.indexOf("delete chain"));
    expect(renderRemoveSlot(before).match(/^delete element/gm)).toHaveLength(6);
  });
});

describe("renderNever", () => {
  it("merges what overlaps", () => {
    expect(renderNever(["127.0.0.1", "198.51.100.1", "fe80::1"])).toMatch(/127\.0\.0\.0\/8, (?!127)/);
  });
});

describe("checkRules", () => {
  const rules = compile({ allow: ["198.51.100.0/24"] }, []);

  it("takes what compile gives", () => {
    expect(() => checkRules(rules)).not.toThrow();
    expect(() => checkRules(compile("open", []))).not.toThrow();
  });

  it.each([
    ["an unknown mode", { mode: "ajar" }],
    ["no mode", { mode: undefined }],
    ["text that nft would read on", { allow4: ["198.51.100.0/24 }; flush ruleset"] }],
    ["host bits", { allow4: ["198.51.100.1/24"] }],
    ["the other family", { allow4: ["2001:db8::/32"] }],
    ["the other family", { granted6: ["10.0.0.0/8"] }],
    ["no list", { allow6: undefined }],
    ["lists beside another mode", { mode: "open" }],
  ])("refuses %s", (_, change) => {
    const bad = { ...rules, ...change } as unknown as NetworkRules;
    expect(() => checkRules(bad)).toThrow(expect.objectContaining({ code: "InvalidRules" }));
  });
});
