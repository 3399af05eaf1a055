// The benchmark "connect": what the proxy of connect tokens costs, beside HAProxy and proxies of Node's world, and what
// of a request's time into a real sandbox is the platform's.
import { benchBytes } from "./connect-bytes.ts";
import { benchCrowd } from "./connect-crowd.ts";
import { HAPROXY } from "./connect-haproxy.ts";
import { H2LOAD, WRK } from "./connect-load.ts";
import { benchHttp1, benchHttp2, benchTls } from "./connect-requests.ts";
import { benchConnectSandbox } from "./connect-sandbox.ts";
import type { ConnectWorld } from "./connect-world.ts";
import { startConnectWorld } from "./connect-world.ts";
import { haveProgram } from "./debian.ts";
import type { Run } from "./room.ts";
import { attempt } from "./room.ts";
import type { Result } from "./stats.ts";
import { inWords } from "./stats.ts";

const PARTS: Readonly<Record<string, (run: Run, world: ConnectWorld) => Promise<Result[]>>> = {
  http1: benchHttp1,
  tls: benchTls,
  http2: benchHttp2,
  bytes: benchBytes,
  crowd: benchCrowd,
  sandbox: benchConnectSandbox,
};
const NEEDS = [
  [HAPROXY, "haproxy"],
  [WRK, "wrk"],
  [H2LOAD, "nghttp2-client"],
] as const;
/** For each of them, but for the clean-up. */
const BOUND_MS = 5 * 60_000;

/** Names of what {@link benchConnect} can be limited to. */
export const CONNECT_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. What was found is kept, whatever fails later. */
export async function benchConnect(run: Run, only: readonly string[]): Promise<Result[]> {
  for (const [path, name] of NEEDS) {
    if (!(await haveProgram(path, name, "the benchmark", run.say))) throw new Error(`${path} is needed`);
  }
  const results: Result[] = [];
  await using world = await startConnectWorld();
  for (const [name, bench] of Object.entries(PARTS)) {
    if (only.length > 0 && !only.includes(name)) continue;
    run.signal.throwIfAborted();
    await attempt(run, name, async () => {
      const signal = AbortSignal.any([run.signal, AbortSignal.timeout(BOUND_MS)]);
      const found = await bench({ ...run, signal }, world);
      for (const result of found) run.say(inWords(result));
      results.push(...found);
    });
  }
  return results;
}
