// A slot's rules as nft text, for the load of the whole table. Pure.

import { formatAddress } from "@sallyport/policy";
import type { Side } from "./netlink/nft-expressions.ts";
import type { Verdict } from "./netlink/nft-messages.ts";
import type { AddressRange, Box } from "./reach.ts";
import {
  type ChainRule,
  type KeyPart,
  type RouterSlot,
  type SharedElement,
  type SlotSet,
  sharedElements,
  slotChains,
  slotSets,
} from "./slot-rules.ts";

/** All that the table holds for the slot; the shared sets and chains are there before it. */
export function renderSlot(table: string, slot: RouterSlot, packetsPerSecond: number): string {
  const sets = slotSets(slot).map(renderSet);
  const chains = slotChains(slot, packetsPerSecond).map(({ name, rules }) =>
    block(`chain ${name}`, rules.map(renderRule)),
  );
  return `table inet ${table} {\n${[...sets, ...chains].join("")}}\n${sharedElements(slot)
    .map((element) => `add element inet ${table} ${element.set} { ${renderElement(element)} }\n`)
    .join("")}`;
}

function renderSet(set: SlotSet): string {
  const address = set.family === 4 ? "ipv4_addr" : "ipv6_addr";
  const type = set.kind === "addresses" ? address : `${address} . inet_proto . inet_service`;
  const elements =
    set.kind === "addresses"
      ? set.ranges.map((range) => renderRange(set.family, range))
      : set.boxes.map((box) => renderBox(set.family, box));
  const lines = [`type ${type}`, "flags interval"];
  return block(`set ${set.name}`, elements.length === 0 ? lines : [...lines, `elements = { ${elements.join(", ")} }`]);
}

function block(head: string, lines: readonly string[]): string {
  return `  ${head} {\n${lines.map((line) => `    ${line}\n`).join("")}  }\n`;
}

function renderRule(rule: ChainRule): string {
  switch (rule.kind) {
    case "cable":
      return `${rule.side} != "${rule.link}" drop`;
    case "rate":
      return `limit rate over ${rule.perSecond}/second burst ${rule.burst} packets ${renderVerdict(rule.verdict)}`;
    case "look-up":
      return `${renderKey(rule.set, rule.side)} @${rule.set.name} ${renderVerdict(rule.verdict)}`;
    case "all":
      return renderVerdict(rule.verdict);
  }
}

function renderKey({ family, kind }: Pick<SlotSet, "family" | "kind">, side: Side): string {
  const field = `${family === 4 ? "ip" : "ip6"} ${side}`;
  const port = side === "daddr" ? "dport" : "sport";
  return kind === "addresses" ? field : `${field} . meta l4proto . th ${port}`;
}

function renderVerdict(verdict: Verdict): string {
  if (typeof verdict === "string") return verdict;
  return "goto" in verdict ? `goto ${verdict.goto}` : `jump ${verdict.jump}`;
}

export function renderRange(family: 4 | 6, { first, last }: AddressRange): string {
  const from = formatAddress({ family, value: first });
  return first === last ? from : `${from}-${formatAddress({ family, value: last })}`;
}

function renderBox(family: 4 | 6, box: Box): string {
  const ports = box.fromPort === box.toPort ? `${box.fromPort}` : `${box.fromPort}-${box.toPort}`;
  return `${renderRange(family, box)} . ${box.protocol} . ${ports}`;
}

function renderElement({ key, chain, mark }: SharedElement): string {
  const value = chain !== undefined ? ` : goto ${chain}` : mark !== undefined ? ` : ${mark}` : "";
  return `${key.map(renderPart).join(" . ")}${value}`;
}

function renderPart(part: KeyPart): string {
  return part.kind === "link" ? `"${part.value}"` : String(part.value);
}
