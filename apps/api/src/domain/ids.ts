// New ids: a prefix and a ULID in lower case; ids made by one process grow, within a millisecond too.
import type { IdKind } from "@sallyport/contracts";
import { ID_PREFIXES } from "@sallyport/contracts";
import { monotonicFactory } from "ulid";

const nextUlid = monotonicFactory();

/** A fresh id of this kind, e.g. "sb-01jd…". */
export function newId(kind: IdKind): string {
  return `${ID_PREFIXES[kind]}-${nextUlid().toLowerCase()}`;
}
