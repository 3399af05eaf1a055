// How option values are read. What the api validates is left to it; here a text becomes a value or a usage error.
import { InvalidArgumentError } from "commander";

/** A number, e.g. "0.5". */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds, from "500ms", "90s", "10m", "2h" or, without a unit, seconds. */
export function parseDuration(text: string): number {
  const [, number = "", unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (number === "" || unitMs === undefined) throw new InvalidArgumentError("It must look like 500ms, 90s, 10m or 2h.");
  return Math.round(Number(number) * unitMs);
}

/** A whole number from 0 on. */
export function parseCount(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** Adds "KEY=VALUE" to what was given before; a value may be empty. */
export function parsePair(text: string, before: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must look like KEY=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Adds "NAME=VALUE" to what was given before. */
export function parseEnv(text: string, before: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must look like NAME=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Adds a value to those given before. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/** Adds a number to those given before. */
export function collectNumber(text: string, before: readonly number[] | undefined): readonly number[] {
  return [...(before ?? []), parseNumber(text)];
}
