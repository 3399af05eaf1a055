// What a worker tells of packets that a policy denied, taken apart: members that we know, of the shape that we know.
import { formatAddress, parseAddress } from "@sallyport/policy";
import type { EventDetail } from "./sandbox-event.ts";

const PROTOCOL = /^[a-z0-9-]{1,16}$/;
/** "never 169.254.0.0/16", "unlisted", "limit rate" … */
const RULE = /^[a-z][a-z-]{0,15}( [a-z0-9:./-]{1,49})?$/;
const MAX_HINT_CHARACTERS = 300;
const MAX_PORT = 65_535;

/**
 * The detail of a `network_denied`: of one destination `{ destination, port?, protocol, rule, hint?, count }`, or of
 * those that were not told one by one `{ more }`. Undefined for what is neither.
 */
export function denialDetail(detail: unknown): EventDetail | undefined {
  if (typeof detail !== "object" || detail === null) return undefined;
  const { destination, port, protocol: named, rule, hint, count, more }: Denial = detail;
  const protocol = typeof named === "number" ? String(named) : named;
  if (destination === undefined) return isCount(more) ? { more } : undefined;
  const address = typeof destination === "string" ? parseAddress(destination) : undefined;
  if (address === undefined || !isText(protocol, PROTOCOL) || !isText(rule, RULE) || !isCount(count)) return undefined;
  return {
    destination: formatAddress(address),
    ...(isPort(port) ? { port } : {}),
    protocol,
    rule,
    ...(typeof hint === "string" && hint !== "" ? { hint: hint.slice(0, MAX_HINT_CHARACTERS) } : {}),
    count,
  };
}

type Denial = {
  readonly [Member in "destination" | "port" | "protocol" | "rule" | "hint" | "count" | "more"]?: unknown;
};

function isText(value: unknown, shape: RegExp): value is string {
  return typeof value === "string" && shape.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function isPort(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_PORT;
}
