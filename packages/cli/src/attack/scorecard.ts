// The scorecard of an attack, for people.
import { escapeText } from "../output.ts";
import type { Score } from "./probe.ts";

/** One line: whether it held, what was tried, what was seen. Everything a sandbox said is escaped. */
export function scoreLine({ held, name, aim, seen, ms }: Score): string {
  return `${held ? "held  " : "BROKEN"}  ${name.padEnd(22)} ${aim} (${ms} ms)\n        ${escapeText(seen)}`;
}

/** "36 of 36 held", with the names of those that did not. */
export function summaryOf(scores: readonly Score[]): string {
  const broken = scores.filter(({ held }) => !held).map(({ name }) => name);
  const sum = `${scores.length - broken.length} of ${scores.length} held`;
  return broken.length === 0 ? `${sum}; host and neighbours unharmed` : `${sum}; NOT held: ${broken.join(", ")}`;
}
