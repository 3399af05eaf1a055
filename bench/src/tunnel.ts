// The benchmark "tunnel": what the edge of tunnels costs, beside HAProxy and nginx that do the same.
import { HAPROXY } from "./connect-haproxy.ts";
import { haveProgram } from "./debian.ts";
import type { Parts } from "./parts.ts";
import { runParts } from "./parts.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { benchRaw, benchTls } from "./tunnel-bytes.ts";
import { benchHandshakes } from "./tunnel-handshakes.ts";
import { benchIdle } from "./tunnel-idle.ts";
import { benchLatency } from "./tunnel-latency.ts";
import { NGINX, NGINX_STREAM } from "./tunnel-peers.ts";
import type { TunnelWorld } from "./tunnel-world.ts";
import { startTunnelWorld } from "./tunnel-world.ts";

const MANY_STREAMS = 64;
const PARTS: Parts<TunnelWorld> = {
  raw: benchRaw(1),
  [`raw-${MANY_STREAMS}`]: benchRaw(MANY_STREAMS),
  tls: benchTls(1),
  [`tls-${MANY_STREAMS}`]: benchTls(MANY_STREAMS),
  handshakes: benchHandshakes,
  latency: benchLatency,
  idle: benchIdle({ tls: false }),
  "idle-tls": benchIdle({ tls: true }),
};
const NEEDS = [
  ["/usr/include/openssl/ssl.h", "libssl-dev"],
  [HAPROXY, "haproxy"],
  [NGINX, "nginx"],
  [NGINX_STREAM, "libnginx-mod-stream"],
] as const;

/** Names of what {@link benchTunnel} can be limited to. */
export const TUNNEL_PARTS: readonly string[] = Object.keys(PARTS);

/** Runs all parts, or only those named. */
export async function benchTunnel(run: Run, only: readonly string[]): Promise<Result[]> {
  for (const [path, name] of NEEDS) {
    if (!(await haveProgram(path, name, "the benchmark", run.say))) throw new Error(`${path} is needed`);
  }
  await using world = await startTunnelWorld();
  return await runParts(run, PARTS, only, world);
}
