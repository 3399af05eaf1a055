// `npm run bench -- NAME [PART…] [--json]`: runs a benchmark beside its peers and prints what it found. Exit code 1 when
// a target was missed or a part failed. With --json nothing but the JSON is on stdout.
import { inspect } from "node:util";
import { benchConnect, CONNECT_PARTS } from "./connect.ts";
import { benchDensity } from "./density.ts";
import { benchPolicy, POLICY_PARTS } from "./policy.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { inWords } from "./stats.ts";
import { benchSuite, SUITE_PARTS } from "./suite.ts";
import { benchTunnel, TUNNEL_PARTS } from "./tunnel.ts";

interface Benchmark {
  readonly about: string;
  /** Into what it can be limited. */
  readonly parts: readonly string[];
  run(run: Run, parts: readonly string[]): Promise<Result[]>;
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  connect: {
    about:
      "connect tokens: CPU of a request, bytes and slow answers beside HAProxy and Node's proxies (about 8 minutes)",
    parts: CONNECT_PARTS,
    run: benchConnect,
  },
  create: {
    about: "create, exec, 50 at once, idle cost and throughput, beside Docker and runsc (about 10 minutes)",
    parts: SUITE_PARTS,
    run: benchSuite,
  },
  density: {
    about: "400 sandboxes asleep: CPU, memory, wake to answer (about 10 minutes)",
    parts: [],
    run: benchDensity,
  },
  policy: {
    about: "network policy: changing one, and what a packet and a connection pay for it (about 5 minutes)",
    parts: POLICY_PARTS,
    run: benchPolicy,
  },
  tunnel: {
    about: "tunnels: CPU of bytes and handshakes, latency, idle memory, beside HAProxy and nginx (about 8 minutes)",
    parts: TUNNEL_PARTS,
    run: benchTunnel,
  },
};

const words = process.argv.slice(2);
const [name = "", ...parts] = words.filter((word) => !word.startsWith("-"));
const bench = BENCHMARKS[name];
const unknown = words.filter((word) => word.startsWith("-") && word !== "--json" && word !== "--help");
const misused = bench === undefined || unknown.length > 0 || parts.some((part) => !bench.parts.includes(part));
if (words.includes("--help") || misused) {
  process.stderr.write(`${usage()}\n`);
  process.exitCode = words.includes("--help") ? 0 : 2;
} else {
  const stopped = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Also when it comes twice, as from timeout(1): what was started is cleaned up.
    process.on(signal, () => stopped.abort(new Error(`stopped by ${signal}`)));
  }
  const failures: string[] = [];
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const failed = (part: string, error: unknown) => {
    failures.push(part);
    say(`${part} failed: ${inspect(error)}`);
  };
  const results = await bench.run({ say, failed, signal: stopped.signal }, parts);
  if (words.includes("--json")) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else for (const result of results) process.stdout.write(`${inWords(result)}\n`);
  process.exitCode = failures.length > 0 || results.some((result) => result.pass === false) ? 1 : 0;
}

function usage(): string {
  const lines = Object.entries(BENCHMARKS).flatMap(([each, { about, parts: partsOf }]) => [
    `  ${each}: ${about}`,
    ...(partsOf.length === 0 ? [] : [`    only some of it: ${partsOf.join(", ")}`]),
  ]);
  return ["usage: npm run bench -- NAME [PART...] [--json]", ...lines].join("\n");
}
