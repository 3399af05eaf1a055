// Judges the ports that a create declares, and the list of those who may come to them.
import { invalidArgument } from "@sallyport/appkit/errors";
import { INIT_PORT } from "@sallyport/contracts";
import { formatCidr, PolicyError, parseCidr } from "@sallyport/policy";
import type { DeclaredPort, PortKind } from "../domain/declared-port.ts";
import { MAX_DECLARED_PORTS, MAX_INBOUND_CIDRS } from "../domain/limits.ts";

/** Ports as a create lists them. */
export interface PortLists {
  readonly encryptedPorts: readonly number[];
  readonly h2Ports: readonly number[];
  readonly unencryptedPorts: readonly number[];
  readonly proxyProtocolPorts: readonly number[];
}

const LISTS = [
  { field: "encrypted_ports", member: "encryptedPorts", kind: "tls" },
  { field: "h2_ports", member: "h2Ports", kind: "h2" },
  { field: "unencrypted_ports", member: "unencryptedPorts", kind: "raw" },
] as const;

/** The declared ports, by port. Throws InvalidArgument. */
export function checkPorts(lists: PortLists): readonly DeclaredPort[] {
  const kinds = new Map<number, PortKind>();
  for (const { field, member, kind } of LISTS) {
    lists[member].forEach((port, index) => {
      const entry = `${field}[${index}]`;
      checkPort(entry, port);
      const before = kinds.get(port);
      if (before !== undefined) {
        throw invalidArgument(entry, `${port} is there twice`, `declare it once: it is ${nameOf(before)} already`);
      }
      if (kinds.size === MAX_DECLARED_PORTS) {
        throw invalidArgument(entry, `is one too many: a sandbox has at most ${MAX_DECLARED_PORTS} ports in all lists`);
      }
      kinds.set(port, kind);
    });
  }
  const withHeader = checkProxyProtocol(lists.proxyProtocolPorts, kinds);
  return [...kinds]
    .toSorted(([a], [b]) => a - b)
    .map(([port, kind]) => ({ port, kind, proxyProtocol: withHeader.has(port) }));
}

function checkPort(field: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalidArgument(field, "must be 1 to 65535");
  if (port === INIT_PORT) throw invalidArgument(field, "is the platform's own", "choose another");
}

function checkProxyProtocol(ports: readonly number[], kinds: ReadonlyMap<number, PortKind>): ReadonlySet<number> {
  const known = new Set<number>();
  ports.forEach((port, index) => {
    const field = `proxy_protocol_ports[${index}]`;
    checkPort(field, port);
    if (known.has(port)) throw invalidArgument(field, `${port} is there twice`, "name each once");
    const kind = kinds.get(port);
    if (kind === undefined) {
      throw invalidArgument(field, `${port} is not declared`, "list it in encrypted_ports or unencrypted_ports too");
    }
    if (kind === "h2") {
      throw invalidArgument(
        field,
        `${port} is in h2_ports`,
        "HTTP/2 knows no PROXY header: list it in encrypted_ports",
      );
    }
    known.add(port);
  });
  return known;
}

function nameOf(kind: PortKind): string {
  return `in ${LISTS.find((list) => list.kind === kind)?.field ?? kind}`;
}

/** CIDRs in canonical form; undefined for everybody. Throws InvalidArgument. */
export function checkInbound(cidrs: readonly string[] | undefined): readonly string[] | undefined {
  if (cidrs === undefined) return undefined;
  if (cidrs.length > MAX_INBOUND_CIDRS) {
    throw invalidArgument("inbound_cidr_allowlist.cidrs", `must be at most ${MAX_INBOUND_CIDRS}`, "name wider ones");
  }
  const kept = cidrs.map((text, index) => canonicalCidr(`inbound_cidr_allowlist.cidrs[${index}]`, text));
  kept.forEach((cidr, index) => {
    if (kept.indexOf(cidr) === index) return;
    throw invalidArgument(`inbound_cidr_allowlist.cidrs[${index}]`, "is there twice", "name each once");
  });
  return kept;
}

function canonicalCidr(field: string, text: string): string {
  try {
    return formatCidr(parseCidr(text, field));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw invalidArgument(field, error.message.replace(`${field}: `, ""), error.hint);
  }
}
