// Packets that never met a rule: each processor has a queue of packets that came in, and drops what finds it full.

import { readFile } from "node:fs/promises";
import { expect } from "vitest";

/** What the queues of all processors have dropped since the machine started. */
export async function droppedByQueues(): Promise<number> {
  const lines = (await readFile("/proc/net/softnet_stat", "utf8")).trim().split("\n");
  return lines.reduce((sum, line) => sum + Number.parseInt(line.split(" ")[1] ?? "0", 16), 0);
}

/**
 * Packets by destination: exactly those that are due, none where none is. As many may be missing in all as the machine's
 * queues dropped meanwhile, which are no refusal: `dropped` is zero unless other programs keep the machine busy.
 */
export function expectAllBut(
  dropped: number,
  seen: Readonly<Record<string, number>>,
  due: Readonly<Record<string, number>>,
): void {
  const missing = Object.entries(due).map(([to, packets]) => [to, packets - (seen[to] ?? 0)] as const);
  expect(missing.filter(([, packets]) => packets < 0)).toEqual([]);
  const lost = missing.filter(([, packets]) => packets > 0);
  const sum = lost.reduce((total, [, packets]) => total + packets, 0);
  if (sum > dropped) expect(lost).toEqual([]);
}
