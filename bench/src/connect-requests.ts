// What a request costs in CPU time of the proxy: 1 KiB of answer, 64 connections, 64 tokens, all of them seen before.
import type { ConnectFront } from "./connect-front.ts";
import { startHaproxy } from "./connect-haproxy.ts";
import type { Loaded } from "./connect-load.ts";
import { h2load, wrk } from "./connect-load.ts";
import { startNodePeer } from "./connect-node-peers.ts";
import { startOurs } from "./connect-ours.ts";
import { TOKENS } from "./connect-tokens.ts";
import type { ConnectWorld } from "./connect-world.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";
import { inTurns } from "./turns.ts";

/** Compilers at run time need some hundred thousand requests. */
const ROUNDS = { rounds: 5, warmUps: 4 };
const SECONDS = 2;
const CONNECTIONS = 64;
/** Of each of the clients of HTTP/2, in a round. */
const H2_REQUESTS = 400;
const HAPROXY_BARE = "HAProxy without any token";
const TARGETS = { http1: 1.2, tls: 1.3, http2: 2 } as const;

/** Over plain TCP, beside all peers. */
export async function benchHttp1(run: Run, world: ConnectWorld): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const ours = stack.use(await startOurs(world, { tls: false }));
  const bare = stack.use(await startHaproxy(world));
  const others = {
    "HAProxy without any token, by a Unix socket to the app": stack.use(await startHaproxy(world, { unix: true })),
    "HAProxy with jwt_verify (ES256)": stack.use(await startHaproxy(world, { verifies: true })),
    "@fastify/http-proxy with @fastify/jwt": stack.use(await startNodePeer(world, "fastify-http-proxy")),
    "http-proxy-3 with jose": stack.use(await startNodePeer(world, "http-proxy-3")),
  };
  const fronts = [ours, bare, ...Object.values(others)];
  const costs = await inTurns(run, "http1", ROUNDS, fronts, (front) => costByWrk(world, front, false));
  const mine = { unit: "µs", ours: costs(ours) } as const;
  return [
    compare({
      ...mine,
      name: "connect/http1",
      peerName: HAPROXY_BARE,
      peer: costs(bare),
      target: TARGETS.http1,
    }),
    ...Object.entries(others).map(([peerName, front]) =>
      compare({ ...mine, name: `connect/http1/${front.name}`, peerName, peer: costs(front) }),
    ),
  ];
}

/** HTTP/1.1 over TLS 1.3, connections kept. */
export function benchTls(run: Run, world: ConnectWorld): Promise<Result[]> {
  return besideHaproxyTls(run, world, "tls", (front) => costByWrk(world, front, true));
}

/** HTTP/2 over TLS 1.3, each connection with one stream at a time. What making the connections costs is taken off. */
export function benchHttp2(run: Run, world: ConnectWorld): Promise<Result[]> {
  const load = (front: ConnectFront, requestsOfEach: number) => () => h2load(world, front, TOKENS, requestsOfEach);
  return besideHaproxyTls(run, world, "http2", async (front) => {
    const first = await spent(front, load(front, 1));
    const all = await spent(front, load(front, H2_REQUESTS));
    return ((all.cpuMs - first.cpuMs) * 1_000) / (all.requests - first.requests);
  });
}

async function besideHaproxyTls(
  run: Run,
  world: ConnectWorld,
  name: "tls" | "http2",
  cost: (front: ConnectFront) => Promise<number>,
): Promise<Result[]> {
  await using ours = await startOurs(world, { tls: true });
  await using bare = await startHaproxy(world, { tls: true });
  const costs = await inTurns(run, name, ROUNDS, [ours, bare], cost);
  const peerName = `${HAPROXY_BARE}, the same protocol`;
  const [mine, peer] = [costs(ours), costs(bare)];
  return [compare({ name: `connect/${name}`, unit: "µs", ours: mine, peerName, peer, target: TARGETS[name] })];
}

async function costByWrk(world: ConnectWorld, front: ConnectFront, tls: boolean): Promise<number> {
  const load = () => wrk(world, front, { connections: CONNECTIONS, seconds: SECONDS, tls });
  const { cpuMs, requests } = await spent(front, load);
  return (cpuMs * 1_000) / requests;
}

async function spent(front: ConnectFront, load: () => Promise<Loaded>): Promise<{ cpuMs: number; requests: number }> {
  const before = front.cpuMs();
  const { requests } = await load();
  return { cpuMs: front.cpuMs() - before, requests };
}
