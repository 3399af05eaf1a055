// What the tunnel-edge counts. Per kind of port, never per tunnel: what a tunnel did stands in the access log.
import type { Gauge } from "@sallyport/edge";
import { Counter, gaugeText, Histogram } from "@sallyport/edge";
import type { RawRefusal } from "./raw-door.ts";
import type { TunnelEnd } from "./tunnel-end.ts";

export class Metrics {
  readonly #connections = new Counter("sallyport_tunnel_connections_total", "Connections that are over, by their end.");
  readonly #bytes = new Counter("sallyport_tunnel_bytes_total", "Bytes of clients (in) and of sandboxes (out).");
  readonly #refused = new Counter("sallyport_tunnel_refusals_total", "Connections that were turned away at a door.");
  readonly #handedOver = new Counter("sallyport_tunnel_handed_over_total", "Connections of the connect-proxy's.");
  readonly #seconds = new Histogram("sallyport_tunnel_connection_seconds", "How long connections were open.");
  readonly #gauges: Gauge[] = [];

  gauge(gauge: Gauge): void {
    this.#gauges.push(gauge);
  }

  ended({ inBytes, kind, ms, outBytes, reason }: TunnelEnd): void {
    this.#connections.add(`{kind="${kind}",end="${reason}"}`);
    if (inBytes > 0) this.#bytes.add(`{kind="${kind}",direction="in"}`, inBytes);
    if (outBytes > 0) this.#bytes.add(`{kind="${kind}",direction="out"}`, outBytes);
    this.#seconds.observe(ms / 1_000);
  }

  refused(door: "tls" | "raw", reason: RawRefusal): void {
    this.#refused.add(`{door="${door}",reason="${reason}"}`);
  }

  handedOver(isTaken: boolean): void {
    this.#handedOver.add(`{taken="${isTaken}"}`);
  }

  /** Everything, as it stands. */
  text(): string {
    const counted = [this.#connections, this.#bytes, this.#refused, this.#handedOver, this.#seconds];
    return `${[...counted.map((one) => one.text()), ...this.#gauges.map(gaugeText)].join("\n")}\n`;
  }
}
