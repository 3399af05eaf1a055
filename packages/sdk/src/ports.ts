// The ports that a create declares, who may come to them, and their form on the wire.
import type { CreateSandboxRequest, Sandbox as WireSandbox } from "@sallyport/contracts";
import { PortKind } from "@sallyport/contracts";
import { sdkError } from "./errors.ts";
import { MAX_UINT32, toTexts, wholeNumber } from "./wire-values.ts";

/**
 * Ports of the sandbox that get public addresses, 1 to 65,535: at most 16 in the three lists together, none of them twice.
 * {@link Sandbox.tunnels} has the addresses. They need nothing of the network policy: a blocked sandbox has tunnels too.
 */
export interface PortOptions<P extends number = number> {
  /** Get a TLS address; what comes there reaches the port as plain TCP, whatever its protocol. */
  readonly encryptedPorts?: readonly P[] | undefined;
  /** Get a TLS address for HTTP/2 (ALPN `h2`); the sandbox speaks HTTP/2 with prior knowledge (h2c) at the port. */
  readonly h2Ports?: readonly P[] | undefined;
  /** Get a public TCP port of their own, and a TLS address as `encryptedPorts` do. */
  readonly unencryptedPorts?: readonly P[] | undefined;
  /**
   * Of the ports declared above those at which each connection of a tunnel begins with a PROXY v2 header, which tells the
   * client's address. Not of `h2Ports`. Default: none.
   */
  readonly proxyProtocolPorts?: readonly NoInfer<P>[] | undefined;
  /**
   * Client addresses that may use the tunnels and connect tokens of this sandbox: at most 64 CIDRs of either family. An
   * empty list: nobody. Default: everybody.
   */
  readonly inboundCidrAllowlist?: readonly string[] | undefined;
}

/** What a port was declared as: TLS, TLS with HTTP/2, or raw TCP with TLS besides. */
export type PortKindName = "tls" | "h2" | "raw";

/** A port that a create declared. */
export interface DeclaredPort {
  readonly port: number;
  readonly kind: PortKindName;
  /** Each connection of its tunnel begins with a PROXY v2 header. */
  readonly proxyProtocol: boolean;
}

type WirePorts = Pick<
  CreateSandboxRequest,
  "encryptedPorts" | "h2Ports" | "unencryptedPorts" | "proxyProtocolPorts" | "inboundCidrAllowlist"
>;

/** The options for the wire. Throws InvalidArgument for what has no form there. */
export function toWirePorts(options: PortOptions): WirePorts {
  const { inboundCidrAllowlist: cidrs } = options;
  return {
    encryptedPorts: toPorts(options.encryptedPorts, "encryptedPorts"),
    h2Ports: toPorts(options.h2Ports, "h2Ports"),
    unencryptedPorts: toPorts(options.unencryptedPorts, "unencryptedPorts"),
    proxyProtocolPorts: toPorts(options.proxyProtocolPorts, "proxyProtocolPorts"),
    inboundCidrAllowlist: cidrs === undefined ? undefined : { cidrs: toTexts(cidrs, "inboundCidrAllowlist") },
  };
}

function toPorts(ports: readonly number[] | undefined, field: string): number[] {
  if (ports === undefined) return [];
  if (!Array.isArray(ports)) {
    throw sdkError("InvalidArgument", `${field}: is not a list of ports`, { field, hint: "write a list: [8080]" });
  }
  // With its holes filled, so that they are seen.
  return Array.from(ports as readonly unknown[], (port, index) => {
    const at = `${field}[${index}]`;
    if (typeof port === "number") return wholeNumber(at, port, MAX_UINT32);
    throw sdkError("InvalidArgument", `${at}: is not a number`, { field: at });
  });
}

const KINDS: ReadonlyMap<PortKind, PortKindName> = new Map<PortKind, PortKindName>([
  [PortKind.TLS, "tls"],
  [PortKind.H2, "h2"],
  [PortKind.RAW, "raw"],
]);

/** A kind of the wire. One of a newer platform has a TLS address as all have. */
export function kindOf(kind: PortKind): PortKindName {
  return KINDS.get(kind) ?? "tls";
}

export function fromWirePorts(ports: WireSandbox["ports"]): readonly DeclaredPort[] {
  return Object.freeze(
    ports.map(({ port, kind, proxyProtocol }) => Object.freeze({ port, kind: kindOf(kind), proxyProtocol })),
  );
}
