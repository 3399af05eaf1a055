// What the proxy counts.
import type { Gauge } from "@sallyport/edge";
import { Counter, gaugeText, Histogram } from "@sallyport/edge";
import type { ExchangeEnd } from "./exchange.ts";

export class Metrics {
  readonly #requests = new Counter("sallyport_connect_requests_total", "Exchanges that are over.");
  readonly #refusals = new Counter("sallyport_connect_refusals_total", "Answers of the proxy's own, by code.");
  readonly #bytes = new Counter("sallyport_connect_bytes_total", "Bytes of bodies and WebSockets.");
  readonly #door = new Counter("sallyport_connect_handshakes_refused_total", "Connections that ended before HTTP.");
  readonly #seconds = new Histogram("sallyport_connect_request_seconds", "From a request's head to the answer's end.");
  readonly #gauges: Gauge[] = [];
  /** By protocol, class of status and outcome: a text is made once for each of them. */
  readonly #labels = new Map<number, string>();

  gauge(gauge: Gauge): void {
    this.#gauges.push(gauge);
  }

  exchange(end: ExchangeEnd): void {
    this.#requests.add(this.#labelsOf(end));
    if (end.code !== undefined) this.#refusals.add(`{code="${end.code}"}`);
    if (end.inBytes > 0) this.#bytes.add('{direction="in"}', end.inBytes);
    if (end.outBytes > 0) this.#bytes.add('{direction="out"}', end.outBytes);
    // A WebSocket lasts as long as its ends like.
    if (end.protocol !== "websocket") this.#seconds.observe(end.ms / 1_000);
  }

  refusedAtDoor(reason: string): void {
    this.#door.add(`{reason="${reason}"}`);
  }

  /** Everything, as it stands. */
  text(): string {
    const gauges = this.#gauges.map(gaugeText);
    const counted = [this.#requests, this.#refusals, this.#bytes, this.#door, this.#seconds].map((one) => one.text());
    return `${[...counted, ...gauges].join("\n")}\n`;
  }

  #labelsOf({ outcome, protocol, status }: ExchangeEnd): string {
    const key =
      (PROTOCOLS.indexOf(protocol) * OUTCOMES.length + OUTCOMES.indexOf(outcome)) * 10 + Math.floor(status / 100);
    let labels = this.#labels.get(key);
    if (labels === undefined) {
      const kind = status === 0 ? "none" : `${Math.floor(status / 100)}xx`;
      labels = `{protocol="${protocol}",status="${kind}",outcome="${outcome}"}`;
      this.#labels.set(key, labels);
    }
    return labels;
  }
}

const PROTOCOLS: readonly ExchangeEnd["protocol"][] = ["http/1.0", "http/1.1", "h2", "websocket"];
const OUTCOMES: readonly ExchangeEnd["outcome"][] = ["complete", "client-cut", "app-cut", "proxy-cut"];
