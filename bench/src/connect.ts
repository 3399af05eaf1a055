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
import type { Parts } from "./parts.ts";
import { runParts } from "./parts.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";

const PARTS: Parts<ConnectWorld> = {
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

/** Names of what {@link benchConnect} can be limited to. */
export const CONNECT_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. What was found is kept, whatever fails later. */
export async function benchConnect(run: Run, only: readonly string[]): Promise<Result[]> {
  for (const [path, name] of NEEDS) {
    if (!(await haveProgram(path, name, "the benchmark", run.say))) throw new Error(`${path} is needed`);
  }
  await using world = await startConnectWorld();
  return await runParts(run, PARTS, only, world);
}
