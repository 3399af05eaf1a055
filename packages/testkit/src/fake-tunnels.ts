// What the fake platform says of tunnels: addresses that need not be served, and edges that have confirmed or not.
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { ListTunnelsRequest, ListTunnelsResponse, Tunnel } from "@sallyport/contracts";
import { PortKind, SandboxState } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";
import type { LifeCycleDeps } from "./fake-life-cycle.ts";
import { until } from "./until.ts";

/** The tunnels of a fake platform. */
export class FakeTunnels {
  /** Of their names. */
  domain = "localhost";
  /** Of their TLS addresses. */
  tlsPort = 7_443;
  /** Certificates that clients must trust; "" for none. */
  caPem = "";
  /** Tunnel-edges that can be reached, and those that cannot. */
  edges = 1;
  staleEdges: string[] = [];
  /** Whether those edges have confirmed. */
  live = true;
  /** How long each request was ready to wait, in milliseconds. */
  readonly waits: number[] = [];
}

/** The label of a port: no two ports of a sandbox share one. */
function fakeLabel(port: number): string {
  return `tn-${String(port).padStart(26, "0")}`;
}

export function tunnelHandlers(
  { handle, find }: Pick<LifeCycleDeps, "handle" | "find">,
  tunnels: FakeTunnels,
): UntypedServiceImplementation {
  return {
    listTunnels: handle("listTunnels", async ({ sandboxId, waitMs }: ListTunnelsRequest) => {
      const { view } = find(sandboxId);
      tunnels.waits.push(waitMs);
      const isLive = () => tunnels.live && tunnels.edges > 0;
      await until(() => isLive() || view.state === SandboxState.ENDED, view.ports.length === 0 ? 0 : waitMs);
      if (view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded", field: "sandbox_id" });
      const { caPem, domain, edges, staleEdges, tlsPort } = tunnels;
      const all = view.ports.map(({ port, kind, proxyProtocol }): Tunnel => {
        const host = `${fakeLabel(port)}.${domain}`;
        const url = tlsPort === 443 ? `https://${host}` : `https://${host}:${tlsPort}`;
        const raw = kind === PortKind.RAW ? { tcpHost: "127.0.0.2", tcpPort: 20_000 + (port % 10_000) } : {};
        return { port, kind, host, tlsPort, url, proxyProtocol, ...raw };
      });
      return { tunnels: all, live: isLive(), staleEdges, edges, caPem } satisfies ListTunnelsResponse;
    }),
  };
}
