// What the tunnel-edge's metrics show as it stands: connections, raw ports, routes, freshness.
import type { RouteTable, RouteWatch } from "@sallyport/dataplane/routes";
import type { Admission } from "@sallyport/edge";
import type { TunnelLog } from "./access-log.ts";
import type { Connections } from "./connections.ts";
import type { HandOver } from "./hand-over.ts";
import type { Metrics } from "./metrics.ts";
import type { RawListeners } from "./raw-listeners.ts";

interface Parts {
  readonly admission: Admission;
  readonly connections: Connections;
  readonly handOver: HandOver | undefined;
  readonly raw: RawListeners | undefined;
  readonly table: RouteTable;
  readonly watch: RouteWatch;
  readonly accessLog: TunnelLog | undefined;
}

export function addGauges(metrics: Metrics, parts: Parts): void {
  const { accessLog, admission, connections, handOver, raw, table, watch } = parts;
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge({ name: `sallyport_tunnel_${name}`, help, read });
  gauge("connections", "Client connections.", () => admission.open);
  gauge("handshakes", "TLS handshakes under way.", () => admission.handshakes);
  gauge("tunnelled_connections", "Connections that lead, or are about to, into sandboxes.", () => connections.size);
  gauge("handed_over_connections", "Connections that lead to the connect-proxy.", () => handOver?.open ?? 0);
  gauge("raw_ports", "Raw ports that are listened at.", () => raw?.listening ?? 0);
  gauge("raw_ports_failed", "Raw ports that cannot be listened at.", () => raw?.failed ?? 0);
  gauge("routes", "Routes that are known.", () => table.size);
  gauge("route_revision", "Revision of the routes that is acted on.", () => table.revision);
  gauge("api_silent_seconds", "Since the api was last heard.", () => watch.silentMs / 1_000);
  gauge("access_log_dropped_lines", "Lines of the access log that were not written.", () => accessLog?.dropped ?? 0);
}
