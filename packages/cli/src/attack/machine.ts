// The addresses and ports at which the platform's machine may be met, when the command runs on it.
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { Sandbox } from "@sallyport/sdk";
import { isList, runForJson, type Target, textOf } from "./prober.ts";

/** The api, the gateway, both over HTTP, and the connect-proxy, as they listen by default. */
const PLATFORM_PORTS = [7_350, 7_351, 7_352, 7_353, 7_443];
/** ssh, PostgreSQL, an engine over TCP. */
const USUAL_PORTS = [22, 5_432, 2_375];
const LISTENING = "0A";

/** Bound of what one probe tries: of one sandbox at most 100 denials a minute are told one by one. */
const MAX_TARGETS = 84;

/** Addresses of the machine's interfaces, without loopback and those that need a scope. */
export function hostAddresses(): readonly string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((of) => of ?? [])
    .filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0)
    .map(({ address }) => address);
  return [...new Set(addresses)];
}

/** The platform's ports, then those at which something listens here, then usual ones. */
export async function hostPorts(): Promise<readonly number[]> {
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(readTable));
  const listening = tables.flatMap(listeningPorts);
  return [...new Set([...PLATFORM_PORTS, ...listening, ...USUAL_PORTS])];
}

/** Ports of a table of /proc/net at which something listens. Pure. */
export function listeningPorts(table: string): readonly number[] {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === LISTENING)
    .map(([, local = ""]) => Number.parseInt(local.split(":").at(-1) ?? "", 16))
    .filter((port) => port > 0);
}

/** A machine without IPv6 has no table of it. */
async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

/** Every address at every port, port by port; as many as may be told of. Pure. */
export function targetsAt(
  protocol: Target["protocol"],
  addresses: readonly string[],
  ports: readonly number[],
): readonly Target[] {
  const all = ports.flatMap((port) => addresses.map((address): Target => ({ protocol, address, port })));
  return all.slice(0, MAX_TARGETS);
}

/** What a sandbox finds around itself. */
export interface Surroundings {
  readonly ipv4: string;
  readonly ipv6: string;
  /** The other end of its link. */
  readonly routerIpv4: string;
  readonly routerIpv6: string;
  /** Both ends of the router's own link to the machine. */
  readonly uplinkIpv6: readonly string[];
}

const LOOK_AROUND = `
import ipaddress, json, socket
def own(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((address, 9))
        return ipaddress.ip_address(s.getsockname()[0])
v4, v6 = own(socket.AF_INET, "198.51.100.10"), own(socket.AF_INET6, "2001:db8::10")
platform = int(v6) >> 80 << 80 | 0xffff << 64
print(json.dumps([str(v4), str(v6), str(v4 - 1), str(v6 - 1), [str(ipaddress.IPv6Address(platform | end)) for end in (1, 2)]]))
`;

/** Its addresses, and those around it, which follow from them. */
export async function lookAround(sandbox: Sandbox, signal: AbortSignal): Promise<Surroundings> {
  const found = await runForJson(sandbox, LOOK_AROUND, [], signal);
  if (!isList(found)) throw new Error("a sandbox does not know its addresses");
  const [ipv4, ipv6, routerIpv4, routerIpv6, uplink = null] = found;
  return {
    ipv4: textOf(ipv4),
    ipv6: textOf(ipv6),
    routerIpv4: textOf(routerIpv4),
    routerIpv6: textOf(routerIpv6),
    uplinkIpv6: isList(uplink) ? uplink.map(textOf) : [],
  };
}
