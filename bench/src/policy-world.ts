// A small internet of namespaces: a machine with a worker's network, the same without rules, one hop less of it, and a
// server beyond all three. Nothing of it touches the network of the machine that it runs on.
//
//   ours:  slot ── veth ─ router (rules, masquerade) ─ uplink ─ machine (masquerade) ─ veth ─ far
//   twin:  client ─ veth ─── machine (masquerade) ──── veth ─── machine (masquerade) ─ veth ─ far
//   bare:  client ─ veth ────────────────────────────────────── machine (masquerade) ─ veth ─ far
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";
import { PolicyChild } from "./policy-child.ts";
import type { Load, Path } from "./policy-traffic.ts";
import { makeTraffic } from "./policy-traffic.ts";

/** Talks to nftables for the worker; SALLYPORT_NFT names another one. */
const NFT_HELPER = process.env["SALLYPORT_NFT"] ?? "/opt/sallyport/native/current/sallyport-nft";
const GATEWAY_UID = 64_123;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
/** Bounds that no load here meets: they are looked up for every packet all the same. */
const ROOMY = {
  connections: 4_000_000,
  newConnectionsPerSecond: 4_000_000,
  packetsPerSecond: 40_000_000,
  bandwidthMbit: 0,
};
const SERVERS = { ours: "198.51.100.10", twin: "198.51.101.10", bare: "198.51.102.10" } as const;

export interface PolicyWorld extends AsyncDisposable {
  /** Through a new slot that has this policy, as users write it, the router and the uplink. */
  slot(policy: unknown): Promise<Path>;
  /** Through the same cables, with masquerade and without rules. */
  readonly twin: Path;
  /** Through one veth and a machine that masquerades. */
  readonly bare: Path;
  /** So many more slots in the router, in place of earlier ones; the policies are dealt out in turns. */
  crowd(count: number, policies: readonly unknown[]): Promise<void>;
  /** Sends so much, and tells how many nanoseconds it took. */
  send(load: Load, path: Path, amount: number): Promise<number>;
  /** Datagrams that have come to the servers so far, read or not. */
  arrived(): Promise<number>;
}

/** A platform's id that nobody has. */
export function randomPlatformId(): string {
  return Array.from(randomBytes(26), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

/** For the program `crowd`. */
export function crowdOptions(platformId: string): object {
  return { platformId, gatewayUid: GATEWAY_UID, helper: NFT_HELPER };
}

/** Needs root. Disposal removes everything. */
export async function startPolicyWorld(): Promise<PolicyWorld> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spb-policy-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const traffic = await makeTraffic(directory);
  const namespaces = await makeNamespaces(stack, ["far", "host", "client", "inner", "outer", "lonely", "gate"]);
  const { far, host, client, inner, outer, lonely, gate } = namespaces;
  await cable([host, "198.51.100.1/25"], [far, `${SERVERS.ours}/25`]);
  await cable([outer, "198.51.101.1/25"], [far, `${SERVERS.twin}/25`]);
  await cable([gate, "198.51.102.1/25"], [far, `${SERVERS.bare}/25`]);
  await defaultRoute(host, SERVERS.ours);
  await cable([inner, "10.97.0.1/30"], [client, "10.97.0.2/30"]);
  await cable([outer, "10.98.0.1/30"], [inner, "10.98.0.2/30"]);
  await cable([gate, "10.99.0.1/30"], [lonely, "10.99.0.2/30"]);
  await defaultRoute(client, "10.97.0.1");
  await defaultRoute(inner, "10.98.0.1");
  await defaultRoute(lonely, "10.99.0.1");
  await masquerade(inner, "10.97.0.0/30");
  await masquerade(outer, "10.98.0.0/30");
  await masquerade(gate, "10.99.0.0/30");

  const platformId = randomPlatformId();
  const router = `sp-${platformId.slice(-8)}`;
  stack.defer(() => removeNamespaces(router));
  const directories = { stateDirectory: join(directory, "state"), forwardingDirectory: join(directory, "forwarding") };
  const options = { ...crowdOptions(platformId), ...directories, limits: ROOMY };
  const worker = stack.use(new PolicyChild("worker", host, options));
  await worker.call("start");
  stack.defer(() => worker.call("teardown"));
  for (const server of Object.values(SERVERS)) stack.use(await traffic.serve(far, server));
  const running = stack.move();
  return {
    async slot(policy) {
      const { slot, netnsPath } = await worker.call<{ slot: number; netnsPath: string }>("acquireSlot");
      await worker.call("setPolicy", slot, policy);
      return { namespace: netnsPath.replace("/run/netns/", ""), server: SERVERS.ours };
    },
    twin: { namespace: client, server: SERVERS.twin },
    bare: { namespace: lonely, server: SERVERS.bare },
    crowd: (count, policies) => worker.call("join", count, policies),
    send: traffic.send,
    arrived: () => traffic.arrived(far),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** They go with the stack. Answers their names by what they are. */
async function makeNamespaces<K extends string>(
  stack: AsyncDisposableStack,
  kinds: readonly K[],
): Promise<Readonly<Record<K, string>>> {
  const prefix = `spp${randomBytes(3).toString("hex")}`;
  stack.defer(() => removeNamespaces(prefix));
  const names = {} as Record<K, string>;
  for (const kind of kinds) {
    const name = `${prefix}-${kind}`;
    await run("ip", ["netns", "add", name]);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
    names[kind] = name;
  }
  return names;
}

/** Those whose names begin so. */
async function removeNamespaces(prefix: string): Promise<void> {
  const all = await readdir("/run/netns");
  for (const name of all.filter((one) => one.startsWith(prefix))) await run("ip", ["netns", "del", name]);
}

type End = readonly [namespace: string, address: string];

async function cable(left: End, right: End): Promise<void> {
  const linkOf = ([, address]: End) => `v${address.replaceAll(/[./]/g, "")}`;
  const peer = ["type", "veth", "peer", "name", linkOf(right), "netns", right[0]];
  await run("ip", ["-n", left[0], "link", "add", linkOf(left), ...peer]);
  for (const end of [left, right]) {
    await run("ip", ["-n", end[0], "addr", "add", end[1], "dev", linkOf(end)]);
    await run("ip", ["-n", end[0], "link", "set", linkOf(end), "up"]);
  }
}

async function defaultRoute(namespace: string, via: string): Promise<void> {
  await run("ip", ["-n", namespace, "route", "add", "default", "via", via]);
}

/** As any container engine sets it up, and nothing more. */
async function masquerade(namespace: string, from: string): Promise<void> {
  const rule = `ip saddr ${from} masquerade`;
  const table = `table ip nat { chain out { type nat hook postrouting priority srcnat; ${rule}; }; }`;
  await run("ip", ["netns", "exec", namespace, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]);
  await run("ip", ["netns", "exec", namespace, "nft", table]);
}
