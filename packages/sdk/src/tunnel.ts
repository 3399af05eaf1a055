// Tunnels: public addresses of the ports that a sandbox's create declared, as users hold them.
import type { ListTunnelsResponse, Tunnel as WireTunnel } from "@sallyport/contracts";
import { MAX_WAIT_MS } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { ConnectDoor } from "./connect-door.ts";
import { SallyportError, sdkError } from "./errors.ts";
import { followWithinOrigin } from "./follow-redirects.ts";
import type { PortKindName } from "./ports.ts";
import { kindOf } from "./ports.ts";
import type { Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";
import { urlWithin } from "./url-within.ts";

/** Deadline of {@link Sandbox.tunnels} that says none, in milliseconds. */
export const TUNNELS_TIMEOUT_MS = 50_000;
/** So much of the time is left for the api's last answer, which tells what is missing. */
const ANSWER_MS = 1_000;
const ATTEMPT_GRACE_MS = 10_000;
const PAUSE_MS = 100;

/** A host and a port, as `net.connect` and `tls.connect` take them. */
export type SocketAddress = readonly [host: string, port: number];

/** The public address of one port. Whoever has it may use it, unless `inboundCidrAllowlist` says otherwise. */
export interface Tunnel {
  /** The port in the sandbox. */
  readonly sandboxPort: number;
  readonly kind: PortKindName;
  /** The host of its TLS address: `tn-` and 26 characters that nobody can guess, below the tunnel domain. */
  readonly host: string;
  /** The port of its TLS address. */
  readonly port: number;
  /** `https://HOST`, with the port where it is not 443, without a slash at the end. */
  readonly url: string;
  /** Its TLS address. The server name must be {@link Tunnel.host}. */
  readonly tlsSocket: SocketAddress;
  /** Its address in plain TCP; of `unencryptedPorts` alone. */
  readonly tcpSocket: SocketAddress | undefined;
  /** Each connection to the port begins with a PROXY v2 header. */
  readonly proxyProtocol: boolean;
  /**
   * Certificates (PEM) that clients must trust to reach the TLS address; {@link Tunnel.fetch} does by itself, and
   * `sallyport ca trust` has the machine trust them. Undefined where the public authorities vouch for it.
   */
  readonly caPem: string | undefined;
  /**
   * `fetch` to the port, over HTTP/2 for `h2Ports`. A path (`/items?page=2`) is one of the sandbox's. Redirects are followed
   * within the tunnel's own origin; one that leads elsewhere is refused, unless `redirect` is `manual`, since code in a
   * sandbox could have this program ask what only this program reaches. No deadline but that of `init.signal`. Otherwise it
   * rejects as `fetch` does, e.g. with `TypeError` when nobody answers. Bun speaks HTTP/1.1 alone.
   *
   * @throws SallyportError `InvalidArgument` with field `path` for a URL elsewhere; `FailedPrecondition` for a redirect
   * elsewhere.
   */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** Tunnels by their ports in the sandbox. */
export type Tunnels<P extends number> = { readonly [K in P]: Tunnel };

/** Waits until edges serve all that the sandbox declared. Throws DeadlineExceeded, whose hint says what is missing. */
export async function liveTunnels(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
): Promise<Readonly<Record<number, Tunnel>>> {
  let last: ListTunnelsResponse | undefined;
  try {
    for (;;) {
      const waitMs = Math.min(MAX_WAIT_MS, Math.max(0, Math.floor(scope.remainingMs - ANSWER_MS)));
      last = await connections.callApi(
        scope,
        ({ sandboxes }, call) => callUnary(sandboxes, sandboxes.listTunnels, { sandboxId, waitMs }, call),
        { maxAttemptMs: waitMs + ATTEMPT_GRACE_MS },
      );
      if (last.live || last.tunnels.length === 0) break;
      // The api has waited as long as it was asked to: what is left is for it to have been only just too early.
      await scope.pause(PAUSE_MS);
    }
  } catch (error) {
    throw last === undefined || !SallyportError.is(error, "DeadlineExceeded") ? error : notLive(error, last);
  }
  const { caPem, tunnels } = last;
  const entries = await Promise.all(
    tunnels.map(async (tunnel) => {
      const door = await scope.waitFor(connections.door(caPem, kindOf(tunnel.kind) === "h2"));
      return [tunnel.port, toTunnel(tunnel, caPem, door)] as const;
    }),
  );
  return Object.freeze(Object.fromEntries(entries));
}

function notLive(error: SallyportError, { edges, staleEdges }: ListTunnelsResponse): SallyportError {
  const silent = staleEdges.length === 0 ? "" : `; out of reach: ${staleEdges.join(", ")}`;
  const hint =
    edges === 0
      ? `no tunnel-edge is there${silent}: the operator's \`sallyport edges\` lists them`
      : `${edges} tunnel-edges can be reached, and not all serve its tunnels yet${silent}`;
  return sdkError("DeadlineExceeded", error.message, { hint });
}

/** What {@link Sandbox.tunnel} answers for a port that was not declared. */
export function undeclaredPort(port: number): SallyportError {
  return sdkError("InvalidArgument", `port: ${port} was not declared`, {
    field: "port",
    hint: "name it in encryptedPorts, h2Ports or unencryptedPorts of Sandbox.create; Sandbox.forward needs no declaration",
  });
}

function toTunnel(tunnel: WireTunnel, caPem: string, door: ConnectDoor): Tunnel {
  const { host, port: sandboxPort, proxyProtocol, tcpHost, tcpPort, tlsPort: port, url } = tunnel;
  const tcpSocket = tcpHost === undefined || tcpPort === undefined ? undefined : socketAddress(tcpHost, tcpPort);
  return Object.freeze({
    sandboxPort,
    kind: kindOf(tunnel.kind),
    host,
    port,
    url,
    tlsSocket: socketAddress(host, port),
    tcpSocket,
    proxyProtocol,
    caPem: caPem === "" ? undefined : caPem,
    async fetch(path: string, init: RequestInit = {}): Promise<Response> {
      const request = { ...init, headers: new Headers(init.headers) };
      return followWithinOrigin((next, one) => door.fetch(next, one), urlWithin(url, path), request);
    },
  });
}

function socketAddress(host: string, port: number): SocketAddress {
  return Object.freeze([host, port] as const);
}
