// What the proxy's metrics show as it stands: connections, routes, freshness.
import type { RouteTable, RouteWatch } from "@sallyport/dataplane/routes";
import type { Admission } from "@sallyport/edge";
import type { ConnectLog } from "./access-log.ts";
import type { Http1Front } from "./http1.ts";
import type { Metrics } from "./metrics.ts";
import type { ConnectRules } from "./rules.ts";
import type { Upstream } from "./upstream/upstream.ts";

interface Parts {
  readonly admission: Admission;
  readonly table: RouteTable;
  readonly watch: RouteWatch;
  readonly rules: ConnectRules;
  readonly upstream: Upstream;
  readonly http1: Http1Front;
  readonly accessLog: ConnectLog | undefined;
}

export function addGauges(
  metrics: Metrics,
  { accessLog, admission, http1, rules, table, upstream, watch }: Parts,
): void {
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge({ name: `sallyport_connect_${name}`, help, read });
  gauge("connections", "Client connections.", () => admission.open);
  gauge("handshakes", "TLS handshakes under way.", () => admission.handshakes);
  gauge("requests", "Requests on their way to apps.", () => upstream.requests);
  gauge("websockets", "WebSockets that are open.", () => http1.webSockets);
  gauge(
    "upstream_idle_connections",
    "Connections into sandboxes that wait for a request.",
    () => upstream.idleConnections,
  );
  gauge("routes", "Routes that are known.", () => table.size);
  gauge("route_revision", "Revision of the routes that is acted on.", () => table.revision);
  gauge("api_silent_seconds", "Since the api was last heard.", () => watch.silentMs / 1_000);
  gauge("remembered_tokens", "Verified tokens that are remembered.", () => rules.rememberedTokens);
  gauge("access_log_dropped_lines", "Lines of the access log that were not written.", () => accessLog?.dropped ?? 0);
}
