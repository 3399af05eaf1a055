// The rules as text: what must be in them, and what must never be.

import { compile } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { slotAddresses } from "./addresses.ts";
import { renderTable } from "./nftables.ts";
import { DEFAULT_SLOT_LIMITS } from "./slot-limits.ts";

const text = renderTable({
  gatewayUid: 977,
  limits: { ...DEFAULT_SLOT_LIMITS, connections: 77, newConnectionsPerSecond: 11, packetsPerSecond: 1_234 },
  ownAddresses: ["198.51.100.1/32", "2001:db8::1/128", "127.0.0.1/32"],
  slots: [{ addresses: slotAddresses("01jqz3v5t8k2m4n6p8r0s2v4w6", 3), mark: 4, rules: compile("open", []) }],
});

/** Rules of a chain, without its declaration. */
function chain(name: string, of = text): string[] {
  const body = new RegExp(`chain ${name} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\n {2}\\}`).exec(of)?.[1] ?? "";
  const lines = body.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("type ") && !line.startsWith("#"));
}

describe("renderTable", () => {
  it("replaces what is there in one transaction", () => {
    expect(text.startsWith("table inet sallyport\ndelete table inet sallyport\ntable inet sallyport {")).toBe(true);
    expect(text.match(/delete table/g)).toHaveLength(1);
  });

  it("drops by default wherever packets come by", () => {
    for (const hook of ["prerouting", "input", "output", "forward"]) {
      expect(text).toMatch(new RegExp(`type filter hook ${hook} priority (-450|filter); policy drop;`));
    }
  });

  it("holds the never set before any verdict, with the machines' own addresses", () => {
    expect(chain("outbound")).toEqual([
      'oifname != "uplink" goto deny_never',
      "ip daddr @never4 goto deny_never",
      "ip6 daddr @never6 goto deny_never",
      "ct mark vmap @egress",
      "counter drop",
    ]);
    expect(text).toMatch(/set never4 \{[^}]*127\.0\.0\.0-127\.255\.255\.255, (?!127)[^}]*198\.51\.100\.1[,-]/);
    expect(text).toMatch(/set never6 \{[^}]*2001:db8::1[, ]/);
  });

  it("lets only the gateway's user out towards slots", () => {
    const rules = chain("output");
    expect(rules).toContain("meta skuid != 977 drop");
    expect(
      rules.filter((rule) => rule.includes("accept") && !rule.includes("icmpv6") && !rule.includes('"lo"')),
    ).toEqual([
      "ct state related oifname . ct mark @live accept",
      "ct state { new, established } oifname . ct mark @live accept",
    ]);
    expect(rules.indexOf('oifname "uplink" drop')).toBeLessThan(rules.findIndex((rule) => rule.startsWith("ct state")));
  });

  it("takes packets by a slot's own cable alone", () => {
    expect(chain("from_3")[0]).toBe('iifname != "slot3" drop');
    expect(chain("in_3")[0]).toBe('oifname != "slot3" drop');
  });

  it("bounds what a slot takes", () => {
    expect(chain("from_3")[1]).toBe("limit rate over 1234/second burst 124 packets goto deny_packets");
    expect(chain("in_3")[1]).toBe("limit rate over 1234/second burst 124 packets goto drop_in");
    expect(chain("pass_out")).toEqual([
      "ct status confirmed accept",
      "update @openings { iifname limit rate over 11/second burst 11 packets } goto deny_openings",
      "add @connections { iifname ct count over 77 } goto deny_connections",
      "accept",
    ]);
  });

  it("lets nothing through that it denies", () => {
    const names = [...text.matchAll(/chain (deny_\w+|refuse|answer|count|drop_in) /g)].map((match) => match[1] ?? "");
    expect(names.length).toBeGreaterThan(8);
    for (const name of names) {
      const rules = chain(name);
      expect(rules.join("\n")).not.toMatch(/\baccept\b/);
      expect(rules.at(-1)).toMatch(/drop$|^goto (refuse|count)$|^reject/);
    }
  });
});

describe("look-ups", () => {
  const rendered = (resolver?: { uid: number; queriesPerSecond: number }): string =>
    renderTable({ gatewayUid: 977, resolver, limits: DEFAULT_SLOT_LIMITS, ownAddresses: [], slots: [] });

  it("are answered by the resolver's user alone", () => {
    expect(chain("answers", rendered({ uid: 978, queriesPerSecond: 100 }))[0]).toBe("meta skuid != 978 drop");
    expect(chain("answers", rendered())[0]).toBe("drop");
  });
});
