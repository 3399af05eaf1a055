// A place for tests of HTTP/2: hosts under one wildcard certificate, each led by the relay to a server of its own.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import { makeAuthority } from "@sallyport/testkit/certificates";
import type { Http2Limits } from "../src/h2/limits.ts";
import { DEFAULT_HTTP2_LIMITS } from "../src/h2/limits.ts";
import type { Http2Relay } from "../src/h2/relay.ts";
import { relayHttp2 } from "../src/h2/relay.ts";

export const DOMAIN = "tunnels.test";
/** Of the sandbox that most tests have. */
export const HOST = `one.${DOMAIN}`;

export interface Place extends AsyncDisposable {
  readonly port: number;
  readonly ca: string;
  /** Those that were begun, in their order. */
  readonly relays: readonly Http2Relay[];
  /** Servers' ports by the first label of a host. */
  readonly sandboxes: Map<string, number>;
  readonly server: Server;
}

export interface PlaceOptions {
  readonly limits?: Partial<Http2Limits>;
  readonly idleMs?: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

export async function startPlace(sandboxes: Record<string, number>, options: PlaceOptions = {}): Promise<Place> {
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue([`*.${DOMAIN}`]);
  const relays: Http2Relay[] = [];
  const ports = new Map(Object.entries(sandboxes));
  const server = createServer(
    { cert, key, ALPNProtocols: ["h2"], allowHalfOpen: true } as object,
    (socket: TLSSocket) => {
      const serverName = String(socket.servername).toLowerCase();
      const target = ports.get(serverName.split(".")[0] ?? "");
      const sandbox: Socket = connect({ port: target ?? 1, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
      socket.setNoDelay(true);
      const publicPort = (server.address() as AddressInfo).port;
      const limits = { ...DEFAULT_HTTP2_LIMITS, ...options.limits };
      relays.push(relayHttp2(socket, sandbox, { serverName, publicPort, ...options, limits }));
    },
  );
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    ca: authority.pem,
    relays,
    sandboxes: ports,
    server,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const relay of relays) relay.destroy();
      await Promise.all(relays.map(({ done }) => done));
    },
  };
}
