// `npm run bench -- NAME [--json]`: runs a benchmark beside its peers and prints what it found. Exit code 1 when a
// target was missed. With --json nothing but the JSON is on stdout.
import { benchCreate } from "./create.ts";
import type { Result } from "./stats.ts";

const BENCHMARKS: Readonly<Record<string, (say: (line: string) => void) => Promise<Result[]>>> = {
  create: benchCreate,
};

const words = process.argv.slice(2);
const json = words.includes("--json");
const name = words.find((word) => !word.startsWith("--"));
const bench = name === undefined ? undefined : BENCHMARKS[name];
if (bench === undefined || words.includes("--help")) {
  process.stderr.write(`usage: npm run bench -- NAME [--json]\nNAME: ${Object.keys(BENCHMARKS).join(", ")}\n`);
  process.exitCode = words.includes("--help") ? 0 : 2;
} else {
  const results = await bench((line) => process.stderr.write(`${line}\n`));
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else for (const result of results) process.stdout.write(`${inWords(result)}\n`);
  process.exitCode = results.some((result) => result.pass === false) ? 1 : 0;
}

function inWords(result: Result): string {
  const { unit, peer, ratio, target, pass } = result;
  const ours = `${result.name}: ${result.measured} ${unit} (p95 ${result.p95}, ${result.runs} runs)`;
  if (peer === null) return `${ours}; ${result.peerName}: not to be had here`;
  const judged = target === null ? "" : `, target ≤ ${target}: ${pass === true ? "met" : "missed"}`;
  return `${ours}; ${result.peerName}: ${peer} ${unit}; ratio ${ratio}${judged}`;
}
