// Need: what edges rest on: enough open files for their connections, an address for raw ports, and ports that nobody else has.
import { readFile } from "node:fs/promises";
import { createServer, isIP } from "node:net";
import { run } from "./command.ts";
import { HostError, isNoSuchFile } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";
import { parseUser, SYSTEM_USERS } from "./users.ts";

/** Where raw ports of sandboxes are. */
export interface RawPlace {
  readonly address: string;
  /** Both inclusive. */
  readonly ports: { readonly from: number; readonly to: number };
}

/** Cookies know no ports: no name of a connect, tunnel, console or api host leads to this address. */
export const DEFAULT_RAW_PLACE: RawPlace = { address: "127.0.0.2", ports: { from: 20_000, to: 20_999 } };

/** The place that settings name; the default for each that they do not, or not as they should: the supervisor says how. */
export function rawPlaceOf(env: Readonly<Record<string, string | undefined>>): RawPlace {
  const address = env["SALLYPORT_TUNNEL_RAW_ADDRESS"] ?? "";
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(env["SALLYPORT_TUNNEL_RAW_PORTS"] ?? "") ?? [];
  return {
    address: isIP(address) === 0 ? DEFAULT_RAW_PLACE.address : address,
    ports: from === undefined ? DEFAULT_RAW_PLACE.ports : { from: Number(from), to: Number(to) },
  };
}

/** Open files of an edge: two for each of 10,000 connections, and what a process has besides. */
export const EDGE_DESCRIPTORS = 65_536;

/** A TCP socket that listens. */
export interface Listener {
  /** Whether at every address. */
  readonly isEverywhere: boolean;
  /** IPv4; undefined for one address of IPv6. */
  readonly address: string | undefined;
  readonly port: number;
  readonly uid: number;
}

export interface EdgeFacts {
  /** Open files that a process started by this one may have. */
  readonly descriptors: number;
  readonly hasRawAddress: boolean;
  readonly listeners: readonly Listener[];
  /** Of the tunnel-edge; undefined before set-up. */
  readonly tunnelEdgeUid: number | undefined;
  /**
   * Whether the kernel moves connections that wait for a process that stops to listen to another one that listens there
   * (net.ipv4.tcp_migrate_req); undefined: it cannot (Linux before 5.14).
   */
  readonly migrates: boolean | undefined;
  /** Ports that the kernel gives to outgoing connections. */
  readonly outgoing: { readonly from: number; readonly to: number };
}

const WHY = "strangers reach sandboxes through the edges: each connection takes two open files, each raw port a port";

/** Need: room for the edges. Missing it is a warning: they serve fewer connections, or fewer ports. */
export function edgesNeed(place: RawPlace = DEFAULT_RAW_PLACE, readFacts: typeof edgeFacts = edgeFacts): Need {
  return { name: "edges", probe: async () => judgeEdges(place, await readFacts(place)) };
}

async function edgeFacts({ address }: RawPlace): Promise<EdgeFacts> {
  const [hasRawAddress, descriptors, ipv4, ipv6, passwd, migrate, range] = await Promise.all([
    canListen(address),
    descriptorLimit(),
    readFile("/proc/net/tcp", "utf8"),
    readFile("/proc/net/tcp6", "utf8").catch(emptyIfMissing),
    readFile("/etc/passwd", "utf8"),
    readFile("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").catch(emptyIfMissing),
    readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8"),
  ]);
  const [from = 0, to = 0] = range.trim().split(/\s+/).map(Number);
  return {
    descriptors,
    hasRawAddress,
    listeners: [...parseListeners(ipv4), ...parseListeners(ipv6)],
    tunnelEdgeUid: parseUser(passwd, SYSTEM_USERS.tunnelEdge)?.uid,
    migrates: migrate === "" ? undefined : migrate.trim() !== "0",
    outgoing: { from, to },
  };
}

/** Open files that a process of an edge may have here: {@link EDGE_DESCRIPTORS}, or as many as there are to be had. */
export async function descriptorLimit(): Promise<number> {
  const most = hardLimit(await readFile("/proc/self/limits", "utf8"));
  if (most >= EDGE_DESCRIPTORS) return EDGE_DESCRIPTORS;
  try {
    // Root may go beyond its own limit, unless it lives in a container that keeps it from that.
    const { exitCode } = await run("prlimit", [`--nofile=${EDGE_DESCRIPTORS}:${EDGE_DESCRIPTORS}`, "true"]);
    return exitCode === 0 ? EDGE_DESCRIPTORS : most;
  } catch (error) {
    if (error instanceof HostError) return most; // there is no such program
    throw error;
  }
}

/** The hard limit in a text like /proc/self/limits. Pure. */
export function hardLimit(limits: string): number {
  const [, hard = "0"] = /^Max open files +\S+ +(\d+|unlimited)/m.exec(limits) ?? [];
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Those who listen in a table like /proc/net/tcp or /proc/net/tcp6. Pure. */
export function parseListeners(table: string): readonly Listener[] {
  const listeners: Listener[] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", , state, , , , uid] = line.trim().split(/\s+/);
    const [host = "", port = ""] = local.split(":");
    if (state !== "0A") continue;
    // Hexadecimal, in the byte order of a little-endian machine: those are all that we run on.
    const bytes =
      host.length === 8
        ? host
            .match(/../g)
            ?.map((byte) => Number.parseInt(byte, 16))
            .reverse()
        : undefined;
    listeners.push({
      isEverywhere: /^0+$/.test(host),
      address: bytes?.join("."),
      port: Number.parseInt(port, 16),
      uid: Number(uid),
    });
  }
  return listeners;
}

/** Pure. */
export function judgeEdges({ address, ports }: RawPlace, facts: EdgeFacts): Finding {
  const problems: string[] = [];
  const say: string[] = [];
  if (facts.descriptors < EDGE_DESCRIPTORS) {
    const connections = Math.floor((facts.descriptors - 100) / 2);
    problems.push(
      `an edge may have ${facts.descriptors} open files, which is some ${connections} connections, not ${EDGE_DESCRIPTORS}`,
    );
    say.push(
      `ulimit -Hn ${EDGE_DESCRIPTORS}, where Sallyport is started (of a container: --ulimit nofile=${EDGE_DESCRIPTORS})`,
    );
  }
  if (!facts.hasRawAddress) {
    problems.push(`${address} is no address of this machine: raw ports cannot be opened`);
    say.push(`ip address add ${address} dev lo, or name another in SALLYPORT_TUNNEL_RAW_ADDRESS`);
  }
  const isInRange = (port: number) => port >= ports.from && port <= ports.to;
  const taken = facts.listeners.filter(
    (one) => isInRange(one.port) && (one.isEverywhere || one.address === address) && one.uid !== facts.tunnelEdgeUid,
  );
  if (taken.length > 0) {
    const list = [...new Set(taken.map(({ port }) => port))].slice(0, 5).join(", ");
    problems.push(`raw ports that other programs listen at: ${list}`);
    say.push("name other ports in SALLYPORT_TUNNEL_RAW_PORTS");
  }
  if (ports.from <= facts.outgoing.to && ports.to >= facts.outgoing.from) {
    problems.push(`raw ports ${ports.from}-${ports.to} may be taken by outgoing connections`);
    say.push(`sysctl -w net.ipv4.ip_local_reserved_ports=${ports.from}-${ports.to}`);
  }
  // A platform that runs has switched it on, where it could.
  const isRunning = facts.listeners.some(({ uid }) => uid === facts.tunnelEdgeUid);
  if (facts.migrates === undefined || (!facts.migrates && isRunning)) {
    problems.push(
      `a restart of the tunnel-edge may reset connections that come to raw ports in that moment: ${facts.migrates === undefined ? "this kernel has no net.ipv4.tcp_migrate_req" : "net.ipv4.tcp_migrate_req is off"}`,
    );
    say.push(facts.migrates === undefined ? "use Linux 5.14 or later" : "sysctl -w net.ipv4.tcp_migrate_req=1");
  }
  const base = { need: "edges", why: WHY } as const;
  const found = `${facts.descriptors} open files, raw ports ${address}:${ports.from}-${ports.to}`;
  if (problems.length === 0) return { ...base, state: "ok", found };
  return { ...base, state: "warning", found, problem: problems.join("; "), cure: { say } };
}

function canListen(host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false)); // EADDRNOTAVAIL
  server.listen({ host, port: 0 }, () => server.close(() => resolve(true)));
  return promise;
}

function emptyIfMissing(error: unknown): string {
  if (isNoSuchFile(error)) return "";
  throw error;
}
