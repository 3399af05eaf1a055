// Which addresses may stand in an answer: none in private or never-reachable space, none of our own machines.

import type { Family } from "@sallyport/policy";
import { type AddressRanges, RESERVED } from "./address-ranges.ts";
import type { DnsRecord } from "./message/records.ts";
import { TYPE } from "./message/wire.ts";

const FAMILIES: ReadonlyMap<number, Family> = new Map([
  [TYPE.A, 4],
  [TYPE.AAAA, 6],
]);

/** Records without those that point where no sandbox may go; whether any went. */
export function withoutForbidden(
  records: readonly DnsRecord[],
  own: AddressRanges,
): { readonly records: readonly DnsRecord[]; readonly taken: boolean } {
  const kept = records.filter((record) => !pointsTo(record, RESERVED) && !pointsTo(record, own));
  return { records: kept, taken: kept.length < records.length };
}

function pointsTo(record: DnsRecord, ranges: AddressRanges): boolean {
  const family = FAMILIES.get(record.type);
  if (family === undefined) return false;
  const value = BigInt(`0x${Buffer.from(record.data).toString("hex")}`);
  return ranges.has(family, value);
}
