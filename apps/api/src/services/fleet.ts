// The machines' own addresses: told by each worker of itself, told to all, so that no sandbox reaches any of them.
import { invalidArgument } from "@sallyport/appkit/errors";
import { cidrContains, formatCidr, NEVER_REACHABLE, PolicyError, parseCidr } from "@sallyport/policy";
import { MAX_MACHINE_ADDRESSES } from "../domain/limits.ts";

const NEVER = NEVER_REACHABLE.map(({ cidr }) => parseCidr(cidr));
/** A machine that called more than this its own would take the rest of the world from every sandbox of the fleet. */
const WIDEST = { 4: 16, 6: 48 } as const;

/** Sorted, each once, without what nobody reaches anyhow. Throws InvalidArgument for the first at fault. */
export function checkAddresses(cidrs: readonly string[]): readonly string[] {
  if (cidrs.length > MAX_MACHINE_ADDRESSES) {
    throw invalidArgument("addresses.cidrs", `must be at most ${MAX_MACHINE_ADDRESSES}`);
  }
  const kept = new Set<string>();
  cidrs.forEach((text, index) => {
    const field = `addresses.cidrs[${index}]`;
    const cidr = parse(text, field);
    if (NEVER.some((never) => cidrContains(never, cidr))) return;
    const widest = WIDEST[cidr.family];
    if (cidr.prefix < widest) throw invalidArgument(field, `must have a prefix of ${widest} at least`);
    kept.add(formatCidr(cidr));
  });
  return [...kept].toSorted();
}

function parse(text: string, field: string) {
  try {
    return parseCidr(text, field);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw invalidArgument(field, "is no CIDR", error.hint);
  }
}
