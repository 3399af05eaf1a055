// A slot's rules as messages to the kernel, for a slot that joins, changes or leaves. Pure.

import { parseAddress } from "@sallyport/policy";
import type { Attribute } from "./netlink/messages.ts";
import { isOtherLink, lookUp, rateOver, verdict } from "./netlink/nft-expressions.ts";
import {
  addBoxes,
  addElements,
  addRanges,
  deleteChain,
  deleteElements,
  deleteSet,
  flushSet,
  type KeyRange,
  newChain,
  newRule,
  newSet,
  type Part,
} from "./netlink/nft-messages.ts";
import type { AddressRange, Box } from "./reach.ts";
import {
  type ChainRule,
  changedSets,
  type KeyPart,
  lookUpElements,
  type RouterSlot,
  type SharedElement,
  type SlotSet,
  sharedElements,
  slotChainNames,
  slotChains,
  slotSets,
} from "./slot-rules.ts";

/** Bytes of an interface name in a key. */
const LINK_BYTES = 16;
const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
/** nft's numbers of types: of addresses, and of address, protocol and port together. */
const ADDRESS_TYPES = { 4: 7, 6: 8 } as const;
const PROTOCOL_TYPE = 12;
const PORT_TYPE = 13;
const TYPE_BITS = 6;

export function slotJoins(table: string, slot: RouterSlot, packetsPerSecond: number): Part[] {
  const sets = slotSets(slot);
  const chains = slotChains(slot, packetsPerSecond);
  return [
    ...sets.map((set, at) => declare(table, set, at + 1)),
    ...sets.flatMap((set) => contentsOf(table, set)),
    ...chains.map(({ name }) => newChain(table, name)),
    ...chains.flatMap(({ name, rules }) => rules.map((rule) => newRule(table, name, expressionsOf(rule)))),
    ...sharedElements(slot).flatMap((element) => addShared(table, element)),
  ];
}

function expressionsOf(rule: ChainRule): Attribute[] {
  switch (rule.kind) {
    case "cable":
      return [...isOtherLink(rule.side, linkKey(rule.link)), verdict("drop")];
    case "rate":
      return [rateOver(rule.perSecond, rule.burst), verdict(rule.verdict)];
    case "look-up":
      return [...lookUp(rule.set.family, rule.side, rule.set.name, rule.set.kind === "boxes"), verdict(rule.verdict)];
    case "all":
      return [verdict(rule.verdict)];
  }
}

/** Other rules for the same slot; none where they come to the same. */
export function slotChanges(table: string, before: RouterSlot, after: RouterSlot): Part[] {
  const [asked, asks] = [lookUpElements(before), lookUpElements(after)];
  return [
    ...changedSets(before, after).flatMap((set) => [flushSet({ table, set: set.name }), ...contentsOf(table, set)]),
    ...(asked.length > 0 && asks.length === 0 ? asked.flatMap((element) => deleteShared(table, element)) : []),
    ...(asked.length === 0 ? asks.flatMap((element) => addShared(table, element)) : []),
  ];
}

export function slotLeaves(table: string, slot: RouterSlot): Part[] {
  return [
    ...sharedElements(slot).flatMap((element) => deleteShared(table, element)),
    ...slotChainNames(slot).map((name) => deleteChain(table, name)),
    ...slotSets(slot).map(({ name }) => deleteSet({ table, set: name })),
  ];
}

/** Other contents for a set of address ranges that is the table's own. */
export function replaceRanges(table: string, set: string, family: 4 | 6, ranges: readonly AddressRange[]): Part[] {
  return [
    flushSet({ table, set }),
    ...addRanges(
      { table, set },
      ranges.map((range) => keyRange(family, range)),
    ),
  ];
}

/** An interface name as the key of a set. */
export function linkKey(link: string): Buffer {
  const bytes = Buffer.alloc(LINK_BYTES);
  bytes.write(link, "latin1");
  return bytes;
}

function declare(table: string, { name, family, kind }: SlotSet, id: number): Part {
  const address = ADDRESS_TYPES[family];
  return kind === "addresses"
    ? newSet({ table, set: name, id, keyType: address, fields: [ADDRESS_BYTES[family]] })
    : newSet({
        table,
        set: name,
        id,
        keyType: (((address << TYPE_BITS) | PROTOCOL_TYPE) << TYPE_BITS) | PORT_TYPE,
        fields: [ADDRESS_BYTES[family], 1, 2],
      });
}

function contentsOf(table: string, set: SlotSet): Part[] {
  const name = { table, set: set.name };
  return set.kind === "addresses"
    ? addRanges(
        name,
        set.ranges.map((range) => keyRange(set.family, range)),
      )
    : addBoxes(
        name,
        set.boxes.map((box) => ({
          first: boxKey(set.family, box.first, box.protocol, box.fromPort),
          last: boxKey(set.family, box.last, box.protocol, box.toPort),
        })),
      );
}

function keyRange(family: 4 | 6, { first, last }: AddressRange): KeyRange {
  return { first: addressKey(family, first), last: addressKey(family, last) };
}

function addressKey(family: 4 | 6, value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(ADDRESS_BYTES[family] * 2, "0"), "hex");
}

/** Each field begins at a register of its own. */
function boxKey(family: 4 | 6, address: bigint, protocol: Box["protocol"], port: number): Buffer {
  const rest = Buffer.alloc(8);
  rest.writeUInt8(protocol, 0);
  rest.writeUInt16BE(port, 4);
  return Buffer.concat([addressKey(family, address), rest]);
}

function addShared(table: string, element: SharedElement): Part[] {
  const { set, chain, mark } = element;
  return addElements({ table, set }, [
    {
      key: keyOf(element),
      ...(chain === undefined ? {} : { verdict: { goto: chain } }),
      ...(mark === undefined ? {} : { value: markKey(mark) }),
    },
  ]);
}

function deleteShared(table: string, element: SharedElement): Part[] {
  return deleteElements({ table, set: element.set }, [keyOf(element)]);
}

function keyOf({ key }: SharedElement): Buffer {
  return Buffer.concat(key.map(partKey));
}

function partKey(part: KeyPart): Buffer {
  if (part.kind === "link") return linkKey(part.value);
  if (part.kind === "mark") return markKey(part.value);
  const address = parseAddress(part.value);
  if (address === undefined) throw new TypeError("a slot's address is none");
  return addressKey(address.family, address.value);
}

/** Marks are numbers of the machine's own byte order. */
function markKey(mark: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(mark);
  return bytes;
}
