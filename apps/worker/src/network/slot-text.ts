// A slot's rules as nft text, for the load of the whole table. Pure.

import { formatAddress } from "@sallyport/policy";
import type { AddressRange, Box } from "./reach.ts";
import {
  type KeyPart,
  type LookUpRule,
  type RouterSlot,
  type SharedElement,
  type SlotSet,
  sharedElements,
  slotChains,
  slotSets,
} from "./slot-rules.ts";

/** All that the table holds for the slot; the shared sets and chains are there before it. */
export function renderSlot(table: string, slot: RouterSlot): string {
  const sets = slotSets(slot).map(renderSet);
  const chains = slotChains(slot).map(({ name, rules, otherwise }) =>
    block(`chain ${name}`, [...rules.map(renderRule), `goto ${otherwise}`]),
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

function renderRule({ set, side, chain }: LookUpRule): string {
  const field = `${set.family === 4 ? "ip" : "ip6"} ${side}`;
  const port = side === "daddr" ? "dport" : "sport";
  const key = set.kind === "addresses" ? field : `${field} . meta l4proto . th ${port}`;
  return `${key} @${set.name} goto ${chain}`;
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
