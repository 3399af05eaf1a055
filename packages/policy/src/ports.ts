// Ports as sorted, disjoint ranges: what a caller writes, how they join, how they are written back.

import { PolicyError, quote } from "./errors.ts";

/** Ports from the first to the last, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A port, or a range of them with both ends included, as an allow rule states it. */
export type PortSpec = number | readonly [from: number, to: number];

/** Most ports and ranges that one rule may list. */
export const MAX_PORTS_PER_RULE = 64;

/** What a rule without ports allows. Port 0 is no port: nothing but a plain CIDR reaches it. */
export const ALL_PORTS: PortRange = Object.freeze({ first: 1, last: 65_535 });

/**
 * Parses the ports of a rule: numbers from 1 to 65,535 and `[from, to]` pairs. Sorted in the answer, neighbours and
 * overlaps joined.
 *
 * @throws PolicyError naming `field`, or `field[index]` where one of the ports is at fault.
 */
export function parsePorts(input: unknown, field: string): readonly PortRange[] {
  if (!Array.isArray(input)) {
    throw new PolicyError(`${quote(input)} is not a list of ports`, {
      field,
      hint: "write a list: [443, [8000, 8100]]",
    });
  }
  if (input.length === 0) {
    throw new PolicyError("names no port", { field, hint: "leave ports out to allow all of them" });
  }
  if (input.length > MAX_PORTS_PER_RULE) {
    throw new PolicyError(`has ${input.length} ports, at most ${MAX_PORTS_PER_RULE} are allowed`, {
      field,
      hint: "join neighbouring ports into ranges, or write a second rule",
    });
  }
  // Array.from visits holes, which map would skip: a hole is a bad port.
  return mergePorts(Array.from(input, (spec: unknown, index) => parseSpec(spec, `${field}[${index}]`)));
}

function parseSpec(spec: unknown, field: string): PortRange {
  if (!Array.isArray(spec)) {
    const port = parsePort(spec, field);
    return { first: port, last: port };
  }
  const pair: readonly unknown[] = spec;
  if (pair.length !== 2) {
    throw new PolicyError("is not a range of ports", { field, hint: "write [from, to], both included" });
  }
  const range = { first: parsePort(pair[0], field), last: parsePort(pair[1], field) };
  if (range.first > range.last) {
    throw new PolicyError(`goes backwards, from ${range.first} to ${range.last}`, {
      field,
      hint: `write [${range.last}, ${range.first}]`,
    });
  }
  return range;
}

function parsePort(value: unknown, field: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= ALL_PORTS.first && value <= ALL_PORTS.last) {
    return value;
  }
  const shown = typeof value === "number" ? String(value) : quote(value);
  throw new PolicyError(`${shown} is not a port`, { field, hint: "write a whole number from 1 to 65535" });
}

/** The union: sorted, disjoint, neighbours joined. */
export function mergePorts(ports: readonly PortRange[]): PortRange[] {
  const union: { first: number; last: number }[] = [];
  for (const range of ports.toSorted((left, right) => left.first - right.first)) {
    const before = union.at(-1);
    if (before !== undefined && range.first <= before.last + 1) before.last = Math.max(before.last, range.last);
    else union.push({ ...range });
  }
  return union;
}

/** Whether these ports, merged, are all there are. */
export function isEveryPort(ports: readonly PortRange[]): boolean {
  return ports.length === 1 && ports[0]?.first === ALL_PORTS.first && ports[0].last === ALL_PORTS.last;
}

/** Merged ports in the form of an allow rule: one port is a number, several are `[from, to]`. */
export function formatPorts(ports: readonly PortRange[]): readonly PortSpec[] {
  return Object.freeze(
    ports.map(({ first, last }): PortSpec => (first === last ? first : Object.freeze([first, last] as const))),
  );
}
